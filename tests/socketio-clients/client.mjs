// The scenario in Node, against the server at argv[2] over the transports of argv[3], with argv[4] naming what more is used ("deflate",
// "msgpack", "base64"), and trusting the certificates in the file argv[5] if there is one. Prints what failed and exits with 1, or prints "ok".
import { readFileSync } from "node:fs"
import { io } from "socket.io-client"
import msgpack from "socket.io-msgpack-parser"
import { scenario } from "./scenario.mjs"

const [url, mode, extra, trusted] = process.argv.slice(2)
const more = {}
if (extra?.includes("deflate")) more.perMessageDeflate = { threshold: 0 }
if (extra?.includes("msgpack")) more.parser = msgpack
if (extra?.includes("base64")) more.forceBase64 = true
if (trusted) more.ca = readFileSync(trusted)
const guard = setTimeout(() => fail(new Error("took too long")), 15_000)

function fail(error) {
  console.error(error)
  process.exit(1)
}
process.on("uncaughtException", fail)
process.on("unhandledRejection", fail)

await scenario(io, url, mode, more)
clearTimeout(guard)
console.log("ok")
