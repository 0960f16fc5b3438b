// The scenario in Node, against the server at argv[2] over the transports of argv[3]. Prints what failed and exits with 1, or prints "ok".
import { io } from "socket.io-client"
import { scenario } from "./scenario.mjs"

const [url, mode] = process.argv.slice(2)
const guard = setTimeout(() => fail(new Error("took too long")), 15_000)

function fail(error) {
  console.error(error)
  process.exit(1)
}
process.on("uncaughtException", fail)
process.on("unhandledRejection", fail)

await scenario(io, url, mode)
clearTimeout(guard)
console.log("ok")
