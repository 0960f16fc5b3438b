// Starts the real binary for a test: one node by default, or with LAMPLIGHT_TARGET=cluster three nodes on Redis
// and PostgreSQL behind nginx.
import { spawn } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startCluster } from "./cluster.mjs"
import { BINARY, running, Server, SHELL } from "./node.mjs"
import { S3_PORT, s3Settings } from "./s3.mjs"

export { BINARY, Server } from "./node.mjs"

/** Whether tests run against three nodes. */
export const isCluster = process.env.LAMPLIGHT_TARGET === "cluster"

/** For half a second, each node admits what a limit allows, whatever the others admitted (decision 34). */
export const NODES = isCluster ? 3 : 1

/**
 * The server without nginx, which alters headers and answers malformed requests itself; on a cluster one of its nodes.
 * @returns {Server}
 */
export const nodeOf = (server) => server.nodes?.[0] ?? server

/**
 * For a test that is about one process or one SQLite file: `test(name, { skip: oneNodeOnly("why") }, ...)`.
 * @param {string} why
 */
export const oneNodeOnly = (why) => (isCluster ? `one node only: ${why}` : false)

/**
 * A server for one test file; `t.after` stops it. A test that names a wrapper or a database gets one node.
 * @param {{ after(end: () => unknown): void }} t
 * @param {Record<string, string>} [settings]
 * @param {string[]} [wrapper] a program that starts it, such as `prlimit`
 */
export async function serve(t, settings = {}, wrapper = []) {
  // With run-s3.mjs.
  if (S3_PORT) settings = { ...s3Settings(), ...settings }
  if (isCluster && wrapper.length === 0 && !settings.DATABASE_URL) {
    const cluster = await startCluster({ settings })
    t.after(() => cluster.dispose())
    return cluster
  }
  const home = await mkdtemp(join(tmpdir(), "lamplight-e2e-"))
  const server = new Server(home, settings, wrapper)
  t.after(async () => {
    if (server.pid) await server.kill()
    await rm(home, { recursive: true, force: true })
  })
  return server.start()
}

/**
 * Locks the store, or this table of PostgreSQL, against writers until the returned process ends. Resolves once it is
 * locked, with `null` if that cannot be.
 */
export async function lockStore(server, table) {
  if (isCluster) return server.lock(table)
  const script =
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); " +
    "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()"
  const holder = spawn("python3", ["-c", script, join(server.home, "data", "lamplight.db")])
  return new Promise((resolve) => {
    holder.stdout.once("data", () => resolve(holder))
    holder.once("exit", () => resolve(null))
  })
}

/** With `AUTH=open`, short times, and only the limits that a test sets. */
export const OPEN = {
  AUTH: "open",
  PRESENCE_GRACE: "1s",
  LIMIT_SENDS: "0",
  LIMIT_TYPING: "0",
  LIMIT_JOINS: "0",
  LIMIT_READS: "0",
  LIMIT_CONVERSATIONS: "0",
}

/** With accounts. */
export const LOCAL = { ...OPEN, AUTH: "local", LIMIT_LOGINS: "0" }

/** The host application's key. */
export const SERVER_KEY = "the-key-of-the-host-application-of-32-bytes"

/** A secret of the minimum length. */
export const JWT_SECRET = "a secret of two and thirty bytes"

/** With the host application's tokens. */
export const JWT = { ...OPEN, AUTH: "jwt", JWT_SECRET }

/**
 * Starts the binary with settings that it should refuse.
 * @returns {Promise<{ code: number | null, stdout: string, stderr: string }>}
 */
export async function refuses(t, settings, flags = []) {
  const home = await mkdtemp(join(tmpdir(), "lamplight-e2e-"))
  t.after(() => rm(home, { recursive: true, force: true }))
  const child = spawn(BINARY, ["serve", ...flags], {
    cwd: home,
    env: { ...SHELL, LISTEN: "127.0.0.1:0", DATA_DIR: join(home, "data"), ...settings },
  })
  running.add(child)
  const ended = { code: null, stdout: "", stderr: "" }
  child.stdout.setEncoding("utf8").on("data", (text) => {
    ended.stdout += text
    if (text.includes("ready")) child.kill("SIGKILL")
  })
  child.stderr.setEncoding("utf8").on("data", (text) => {
    ended.stderr += text
  })
  await new Promise((resolve) => child.on("close", resolve))
  running.delete(child)
  ended.code = child.exitCode
  return ended
}
