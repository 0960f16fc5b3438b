// The operator's scanner: it receives each file, and no file can be downloaded before it is reported as clean.
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { createServer } from "node:http"
import { join } from "node:path"
import { after, test } from "node:test"
import { png } from "./support/media.mjs"
import { conversationOf, crowd, post, somebody } from "./support/person.mjs"
import { BINARY, nodeOf, OPEN, oneNodeOnly, SERVER_KEY, serve } from "./support/server.mjs"
import { raw, sha256, uploads } from "./support/tus.mjs"
import { until } from "./support/wait.mjs"

/** A scanner whose answers a test decides, by the content of a file. */
async function scanner(t) {
  const seen = []
  let decide = () => ({ verdict: "clean" })
  const server = createServer((request, response) => {
    const parts = []
    request.on("data", (part) => parts.push(part))
    request.on("end", async () => {
      const bytes = Buffer.concat(parts)
      const { "x-file-id": id, "x-file-name": name, "x-file-type": type } = request.headers
      seen.push({
        id,
        name: decodeURIComponent(name),
        type,
        bytes,
        length: request.headers["content-length"],
      })
      const verdict = await decide(bytes, seen.filter((one) => one.id === id).length)
      if (verdict === "cut") return request.socket.destroy()
      response.writeHead(verdict.status ?? 200, { "content-type": "application/json" })
      response.end(verdict.text ?? JSON.stringify(verdict))
    })
    request.on("error", () => null)
  })
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${server.address().port}/scan?key=secret`,
    seen,
    of: (id) => seen.filter((one) => one.id === id),
    decides: (by) => {
      decide = by
    },
  }
}

const scan = await scanner({ after })
const server = await serve(
  { after },
  { ...OPEN, SERVER_KEY, FILE_SCAN_URL: scan.url, FILE_SCAN_TIMEOUT: "2s" },
)

async function pair(t, on = server) {
  const { join } = crowd(t, on)
  const person = async (name) => {
    const id = somebody(name)
    return { id, client: await join(id), files: uploads(on, id) }
  }
  const [asha, ben] = [await person("asha"), await person("ben")]
  const conversationId = await conversationOf(on, asha.id, ben.id)
  const send = async (id) => {
    const message = { conversationId, content: "", attachments: [id] }
    return (await post(on, "/api/privatechat/message", message, { as: asha.id })).body
  }
  return { asha, ben, conversationId, send }
}

const ends = (client, id, state) =>
  client.sees("file_progress", (one) => one.fileId === id && one.state === state)

/** A promise and what resolves it. */
function gate() {
  let open
  const opened = new Promise((resolve) => {
    open = resolve
  })
  return { open, opened }
}

test("a file waits for its verdict, and all members are notified", async (t) => {
  const { asha, ben, conversationId, send } = await pair(t)
  const { open, opened } = gate()
  scan.decides(async () => {
    await opened
    return { verdict: "clean" }
  })
  const bytes = png(640, 320)
  const made = await asha.files.create(conversationId, bytes.length, {
    bytes,
    name: 'Ünter "lagen".png',
    type: "image/png",
  })
  assert.equal(made.status, 201)
  assert.equal(made.headers["file-state"], "processing")
  const id = made.headers.location.split("/").at(-1)
  await until(() => scan.of(id).length === 1, "it is sent")
  const [sent] = scan.of(id)
  assert.equal(sha256(sent.bytes), sha256(bytes))
  assert.deepEqual(
    [sent.name, sent.type, sent.length],
    ['Ünter "lagen".png', "image/png", String(bytes.length)],
  )
  for (const path of [`/api/files/${id}`, `/api/files/${id}/thumbnail`]) {
    assert.equal((await raw(server, "GET", path, { as: asha.id })).status, 404, `${path} of its owner`)
  }
  assert.equal((await raw(server, "POST", `/api/files/${id}/url`, { as: asha.id })).status, 404)
  assert.equal((await send(id)).code, "invalid", "it is not ready")
  assert.equal((await asha.files.head(id)).headers["file-state"], "processing")
  await ends(ben.client, id, "processing")
  open()
  await ends(ben.client, id, "ready")
  await ends(asha.client, id, "ready")
  assert.equal((await asha.files.head(id)).headers["file-state"], "ready")
  assert.equal((await send(id)).success, true)
  assert.equal(sha256((await ben.files.download(id)).bytes), sha256(bytes))
  assert.equal(scan.of(id).length, 1, "it is sent once")
})

test("a file that the scanner refuses is deleted", async (t) => {
  const { asha, ben, conversationId, send } = await pair(t)
  scan.decides((bytes) => ({ verdict: bytes.includes("EICAR") ? "blocked" : "clean" }))
  const bad = await asha.files.whole(conversationId, Buffer.from("an EICAR of sorts"), { type: "text/plain" })
  const good = await asha.files.whole(conversationId, Buffer.from("just a text"), { type: "text/plain" })
  await ends(ben.client, bad, "blocked")
  await ends(asha.client, bad, "blocked")
  await ends(asha.client, good, "ready")
  assert.equal((await asha.files.head(bad)).headers["file-state"], "blocked")
  assert.equal((await asha.files.download(bad)).status, 404)
  assert.equal((await send(bad)).code, "invalid")
  assert.equal((await send(good)).success, true)
})

test("a scanner that fails, hangs or returns nonsense is called again", async (t) => {
  const { asha, conversationId } = await pair(t)
  const hung = gate()
  t.after(hung.open)
  const failures = [
    { status: 500, verdict: "clean" },
    { text: "clean" },
    { verdict: "perhaps" },
    "cut",
    { status: 302, verdict: "clean" },
  ]
  const tries = await Promise.all(
    failures.map(async (failure, index) => {
      const bytes = Buffer.from(`failure ${index} of ${process.pid}`)
      return { failure, bytes, id: null }
    }),
  )
  scan.decides(async (bytes, attempt) => {
    if (attempt > 1) return { verdict: "clean" }
    if (bytes.includes("hangs")) {
      await hung.opened
      return "cut"
    }
    return tries.find((one) => one.bytes.equals(bytes))?.failure ?? { verdict: "clean" }
  })
  for (const one of tries) one.id = await asha.files.whole(conversationId, one.bytes, { type: "text/plain" })
  const hangs = await asha.files.whole(conversationId, Buffer.from("it hangs"), { type: "text/plain" })
  for (const id of [...tries.map((one) => one.id), hangs]) {
    await ends(asha.client, id, "ready")
    assert.equal(scan.of(id).length, 2, "once more is enough")
  }
  const metrics = await (await fetch(`${nodeOf(server).url}/metrics`)).text()
  assert.match(metrics, /lamplight_file_scans_total\{verdict="error"\} \d/)
  assert.match(metrics, /lamplight_file_scan_seconds/)
})

test("a waiting file survives kill -9", { skip: oneNodeOnly("restarts its node") }, async (t) => {
  const own = await serve(t, { ...OPEN, SERVER_KEY, FILE_SCAN_URL: scan.url })
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const conversationId = await conversationOf(own, asha, ben)
  const { open, opened } = gate()
  t.after(open)
  scan.decides(async (_, attempt) => {
    if (attempt > 1) return { verdict: "clean" }
    await opened
    return "cut"
  })
  const files = uploads(own, asha)
  const id = await files.whole(conversationId, Buffer.from("a text that waits"), { type: "text/plain" })
  await until(() => scan.of(id).length === 1, "it is sent")
  await own.kill()
  await own.start()
  const state = async () => (await files.head(id)).headers["file-state"]
  assert.equal(await state(), "processing")
  // Its lease of the dead process has 30 s.
  await until(async () => (await state()) === "ready", "it is sent again", 60_000)
  assert.equal(scan.of(id).length, 2)
})

test("the doctor calls the scanner", {
  skip: oneNodeOnly("the doctor's view is the same there"),
}, async (t) => {
  const own = await serve(t, OPEN)
  const finding = (url) => {
    const env = { PATH: process.env.PATH, AUTH: "open", DATA_DIR: join(own.home, "data"), FILE_SCAN_URL: url }
    const flags = ["doctor", "--json", "--listen", `127.0.0.1:${own.port}`]
    return new Promise((resolve) =>
      execFile(BINARY, flags, { cwd: own.home, env }, (_, stdout) => {
        assert.ok(!stdout.includes("key=secret"), "an address may have a key")
        resolve(JSON.parse(stdout).findings.find((one) => one.check === "scanner"))
      }),
    )
  }
  scan.decides(() => ({ verdict: "clean" }))
  assert.equal((await finding(scan.url)).level, "ok")
  scan.decides(() => ({ verdict: "blocked" }))
  assert.equal((await finding(scan.url)).level, "warn")
  scan.decides(() => ({ status: 500, text: "no" }))
  const failed = await finding(scan.url)
  assert.deepEqual([failed.level, failed.code], ["fail", "LL-130"], JSON.stringify(failed))
  assert.equal((await finding("http://127.0.0.1:1/")).level, "fail")
})
