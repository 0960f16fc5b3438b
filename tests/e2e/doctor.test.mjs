// The doctor against the running binary.
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { test } from "node:test"
import { BINARY, OPEN, oneNodeOnly, serve } from "./support/server.mjs"

/** @returns {Promise<{ code: number, findings: any[], text: string }>} */
function examine(server, ...flags) {
  const env = { PATH: process.env.PATH, AUTH: "open", DATA_DIR: join(server.home, "data") }
  return new Promise((resolve) =>
    execFile(BINARY, ["doctor", "--json", ...flags], { cwd: server.home, env }, (error, stdout) =>
      resolve({ code: error ? Number(error.code) : 0, findings: JSON.parse(stdout).findings, text: stdout }),
    ),
  )
}

const skip = oneNodeOnly("the doctor's view of Redis and PostgreSQL has tests of its own")

test("the doctor leaves no connection open that would delay a stop", { skip }, async (t) => {
  const server = await serve(t, OPEN)
  const { code, text } = await examine(server, "--url", `${server.url}/chat`, "--origin", server.url)
  assert.equal(code, 0, text)
  assert.match(text, /the path \/chat is left aside/)
  const began = performance.now()
  assert.equal((await server.stop()).code, 0)
  assert.ok(performance.now() - began < 5_000, server.log)
  assert.doesNotMatch(server.log, /still open/)
})

test("the doctor detects that another server uses the data", { skip }, async (t) => {
  const server = await serve(t, OPEN)
  // Nothing listens where these settings say.
  const { code, findings, text } = await examine(server, "--listen", "127.0.0.1:1")
  assert.equal(code, 1, text)
  const failed = findings.filter((finding) => finding.level === "fail")
  assert.ok(
    failed.some((finding) => /in use by a Lamplight/.test(finding.seen)),
    text,
  )
  const known = await examine(server, "--listen", `127.0.0.1:${server.port}`)
  assert.equal(known.code, 0, known.text)
  await server.stop()
  assert.doesNotMatch((await examine(server, "--listen", "127.0.0.1:0")).text, /in use/)
})
