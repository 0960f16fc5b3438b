// The example that was written from the original guide alone, against the binary.
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { test } from "node:test"
import { fileURLToPath } from "node:url"
import { put } from "./support/person.mjs"
import { OPEN, SERVER_KEY, serve } from "./support/server.mjs"

const EXAMPLE = fileURLToPath(new URL("../../examples/original-client/index.mjs", import.meta.url))

async function run(...args) {
  const child = spawn(process.execPath, [EXAMPLE, ...args], { stdio: "pipe" })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text
    })
  }
  const code = await new Promise((resolve) => child.on("close", resolve))
  return { code, output }
}

test("the original client works by changing one URL", async (t) => {
  const server = await serve(t, { AUTH: "open", PRESENCE_GRACE: "1s" })
  const { code, output } = await run(server.url)
  assert.equal(code, 0, output)
  // Once more against the same server: existing data does no harm.
  const again = await run(server.url)
  assert.equal(again.code, 0, again.output)
})

test("the original client writes into the host application's own conversation", async (t) => {
  const server = await serve(t, { ...OPEN, SERVER_KEY })
  const made = await put(
    server,
    "/api/privatechat/conversations/7",
    { memberIds: [42, 57] },
    { token: SERVER_KEY },
  )
  assert.equal(made.status, 200, made.text)
  const { code, output } = await run(server.url, "7")
  assert.equal(code, 0, output)
})
