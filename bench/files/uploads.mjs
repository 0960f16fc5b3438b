// Measures the cost of uploads: `node bench/files/uploads.mjs` (after `cargo build --release -p lamplight`).
//
//   UPLOADS=50 SIZE=100000000   concurrent uploads and their sizes: measures the growth of resident memory
//   CUTS=10000                  uploads that are cut at random bytes and resumed, each compared by SHA-256
//   LAMPLIGHT_BIN=...           the binary; target/release/lamplight by default
//
// Exits with 1 if a figure misses its goal. Needs UPLOADS x SIZE bytes on the disk of the temporary directory.
import { createHash, randomBytes } from "node:crypto"
import { request as http } from "node:http"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

process.env.LAMPLIGHT_BIN ??= join(dirname(fileURLToPath(import.meta.url)), "../../target/release/lamplight")
const { OPEN, SERVER_KEY, serve } = await import("../../tests/e2e/support/server.mjs")
const { conversationOf } = await import("../../tests/e2e/support/person.mjs")
const { BYTES, sha256, uploads } = await import("../../tests/e2e/support/tus.mjs")

const number = (name, usual) => Number(process.env[name] ?? usual)
const [UPLOADS, SIZE, CUTS] = [number("UPLOADS", 50), number("SIZE", 100_000_000), number("CUTS", 10_000)]
const GOAL_BYTES = 16_000_000
const BLOCK = randomBytes(1 << 20)

const ends = []
const t = { after: (end) => ends.push(end) }
let failed = false

/** Sends a file of `SIZE` bytes without holding it: one block, again and again. */
function send(server, as, id) {
  return new Promise((resolve, reject) => {
    const headers = {
      "x-user-id": as,
      "tus-resumable": "1.0.0",
      "content-type": BYTES,
      "upload-offset": 0,
      "content-length": SIZE,
    }
    const sent = http(
      `${server.url}/api/files/${id}`,
      { method: "PATCH", agent: false, headers },
      (answer) => {
        answer.resume()
        answer.on("end", () => resolve(answer.statusCode))
      },
    )
    sent.on("error", reject)
    let left = SIZE
    const more = () => {
      while (left > 0) {
        const part = BLOCK.subarray(0, Math.min(left, BLOCK.length))
        left -= part.length
        if (!sent.write(part)) {
          sent.once("drain", more)
          return
        }
      }
      sent.end()
    }
    more()
  })
}

async function memory() {
  const server = await serve(t, { ...OPEN, SERVER_KEY, FILE_QUOTA: "0", MAX_FILE_SIZE: "0" })
  const conversationId = await conversationOf(server, "a", "b")
  const files = uploads(server, "a")
  // Permanent allocations of the first upload are not a cost of uploads.
  await files.whole(conversationId, BLOCK)
  const before = await server.memory()
  let most = before
  const watch = setInterval(async () => {
    most = Math.max(most, await server.memory().catch(() => 0))
  }, 20)
  const began = performance.now()
  const one = async () => {
    const made = await files.create(conversationId, SIZE)
    const id = made.headers.location.split("/").at(-1)
    const status = await send(server, "a", id)
    if (status !== 204) throw new Error(`an upload was answered ${status}`)
    return id
  }
  await Promise.all(Array.from({ length: UPLOADS }, one))
  clearInterval(watch)
  const seconds = (performance.now() - began) / 1_000
  const growth = most - before
  const rate = (UPLOADS * SIZE) / seconds / 1e6
  console.log(
    `${UPLOADS} uploads at once of ${SIZE / 1e6} MB: ${(growth / 1e6).toFixed(1)} MB more memory ` +
      `(${(before / 1e6).toFixed(1)} before; the goal is ${GOAL_BYTES / 1e6}), ${rate.toFixed(0)} MB/s`,
  )
  failed ||= growth > GOAL_BYTES
}

async function cuts() {
  const server = await serve(t, { ...OPEN, SERVER_KEY, FILE_QUOTA: "0" })
  const conversationId = await conversationOf(server, "a", "b")
  const files = uploads(server, "a")
  const began = performance.now()
  let [done, whole, broken] = [0, 0, 0]
  const worker = async () => {
    while (done < CUTS) {
      const bytes = randomBytes(200_000 + Math.floor(Math.random() * 800_000))
      const made = await files.create(conversationId, bytes.length)
      const id = made.headers.location.split("/").at(-1)
      for (let offset = 0; offset < bytes.length; ) {
        const rest = bytes.subarray(offset)
        const cutAt = Math.floor(Math.random() * rest.length * 1.1)
        const isCut = cutAt < rest.length
        if (isCut) done++
        await files.patch(id, offset, rest, isCut ? { cutAt } : {}).catch(() => null)
        const now = Number((await files.head(id)).headers["upload-offset"])
        if (!(now >= offset)) throw new Error(`the offset went back from ${offset} to ${now}`)
        offset = now
      }
      const hash = createHash("sha256")
        .update((await files.download(id)).bytes)
        .digest("hex")
      if (hash === sha256(bytes)) whole++
      else broken++
      await files.tus("DELETE", `/api/files/${id}`)
    }
  }
  await Promise.all(Array.from({ length: 4 }, worker))
  const seconds = (performance.now() - began) / 1_000
  console.log(
    `${done} cuts at random bytes: ${whole} files whole, ${broken} broken, in ${seconds.toFixed(0)} s`,
  )
  failed ||= broken > 0
}

try {
  if (UPLOADS > 0) await memory()
  if (CUTS > 0) await cuts()
} finally {
  for (const end of ends) await end()
}
process.exit(failed ? 1 : 0)
