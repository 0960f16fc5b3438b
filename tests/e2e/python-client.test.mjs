// PyPI's python-socketio against the binary.
import assert from "node:assert/strict"
import { execFile, spawn } from "node:child_process"
import { before, test } from "node:test"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { put } from "./support/person.mjs"
import { OPEN, SERVER_KEY, serve } from "./support/server.mjs"
import { until } from "./support/wait.mjs"

const run = promisify(execFile)
const here = (name) => fileURLToPath(new URL(name, import.meta.url))

before(() => run(here("setup-python.sh")))

for (const transport of ["polling", "websocket"]) {
  test(`python-socketio joins, sends and receives over ${transport}`, async (t) => {
    const server = await serve(t, { ...OPEN, SERVER_KEY })
    await put(server, "/api/privatechat/conversations/7", { memberIds: [42, 57] }, { token: SERVER_KEY })
    const { stdout } = await run(
      here(".venv/bin/python"),
      [here("python_client.py"), server.url, transport, "7"],
      { timeout: 60_000 },
    )
    assert.match(stdout, /ok/)
  })
}

for (const transport of ["polling", "websocket"]) {
  test(`python-socketio reconnects by itself after a restart over ${transport}`, async (t) => {
    const server = await serve(t, OPEN)
    const client = spawn(here(".venv/bin/python"), [here("python_restart.py"), server.url, transport])
    t.after(() => client.kill())
    let output = ""
    for (const stream of [client.stdout, client.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text
      })
    }
    await until(() => output.includes("in 1"), "it is in", 10_000)
    await server.stop()
    await server.start()
    await until(() => output.includes("in 2") || client.exitCode !== null, "it is in again", 30_000)
    assert.match(output, /in 2/)
  })
}
