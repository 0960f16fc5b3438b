// The files of deploy/ and the operations page name only metrics and settings that exist.
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { startCluster } from "../e2e/support/cluster.mjs"
import { png } from "../e2e/support/media.mjs"
import { conversationOf, crowd, get, post, somebody } from "../e2e/support/person.mjs"
import { pushService } from "../e2e/support/push.mjs"
import { BINARY, OPEN } from "../e2e/support/server.mjs"
import { startPostgres, startRedis } from "../e2e/support/services.mjs"
import { uploads } from "../e2e/support/tus.mjs"
import { until } from "../e2e/support/wait.mjs"

const ROOT = new URL("../..", import.meta.url).pathname
const read = (path) => readFileSync(join(ROOT, path), "utf8")
const DEPLOY = readdirSync(join(ROOT, "deploy"), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length))
const OPERATIONS = "docs/operations.md"

const pushes = await pushService({ after })

describe("metrics", () => {
  const METRIC = /\blamplight_[a-z_]+/g
  /** Names that begin so and are no metrics. */
  const OTHER = new Set(["lamplight_restored"])
  let cluster
  let services
  /** A scanner that reports every file as clean. */
  const scanner = createServer((request, response) => {
    request.resume()
    request.on("end", () => response.end('{"verdict":"clean"}'))
  })
  before(async () => {
    await new Promise((resolve) => scanner.listen(0, "127.0.0.1", resolve))
    const FILE_SCAN_URL = `http://127.0.0.1:${scanner.address().port}/`
    services = await Promise.all([startRedis(), startPostgres()])
    const [redis, postgres] = services
    const settings = {
      ...OPEN,
      FILE_SCAN_URL,
      PUSH_ALLOW: pushes.origin,
      VAPID_SUBJECT: "mailto:operator@example.org",
    }
    cluster = await startCluster({ nodes: 2, settings, redis, postgres })
  })
  after(async () => {
    await cluster?.dispose()
    scanner.close()
    for (const service of services ?? []) await service.stop()
  })

  /** The metrics of a node after one of each event: name -> type. */
  async function offered(t) {
    const [one, two] = cluster.nodes
    const [asha, ben] = [somebody("asha"), somebody("ben")]
    const id = await conversationOf(one, asha, ben)
    const sender = await crowd(t, one).join(asha)
    const receiver = await crowd(t, two).join(ben)
    const leaver = await crowd(t, one).join(somebody("leaver"))
    assert.equal((await sender.send(id, "one")).success, true)
    await receiver.sees("new_private_message")
    const body = { conversationId: id, content: "two" }
    assert.equal((await post(two, "/api/privatechat/message", body, { as: ben })).status, 201)
    await sender.sees("new_private_message")
    leaver.close()
    const away = somebody("away")
    const toAway = await conversationOf(one, asha, away)
    const device = pushes.device()
    assert.equal((await post(one, "/api/push/subscriptions", device.subscription, { as: away })).status, 200)
    assert.equal((await sender.send(toAway, "three")).success, true)
    await device.gets(1, 60_000)
    const file = await uploads(one, asha).whole(id, png(600, 400))
    const sent = { conversationId: id, content: "", attachments: [file] }
    const isSent = async () =>
      (await post(one, "/api/privatechat/message", sent, { as: asha })).status === 201
    await until(isSent, "the scanner found it clean")
    const types = async (node) => {
      const { text } = await get(node, "/metrics")
      return new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]))
    }
    await until(async () => (await types(one)).has("lamplight_disconnects_total"))
    await until(async () => (await types(one)).has("lamplight_delivery_seconds"))
    // Either node may have called the scanner.
    return new Map([...(await types(one)), ...(await types(two))])
  }

  test("each metric in a dashboard, an alert rule or the operations page exists, and the page explains each metric", async (t) => {
    const types = await offered(t)
    for (const file of [...DEPLOY, OPERATIONS]) {
      for (const [name] of read(file).matchAll(METRIC)) {
        const [, base] = /^(.*_seconds)_(?:bucket|sum|count)$/.exec(name) ?? []
        const known = base ? types.get(base) === "histogram" : types.has(name)
        assert.ok(known || OTHER.has(name), `${file} names ${name}, which /metrics does not have`)
      }
    }
    const explained = new Set([...read(OPERATIONS).matchAll(METRIC)].map(([name]) => name))
    for (const name of types.keys())
      if (name.startsWith("lamplight_"))
        assert.ok(explained.has(name), `${OPERATIONS} does not explain ${name}`)
  })

  test("queries use rates of counters and levels of gauges", async (t) => {
    const types = await offered(t)
    const queries = [
      ...read("deploy/prometheus/lamplight.rules.yaml").matchAll(/^\s+expr: (.+)$/gm),
      ...read("deploy/grafana/lamplight.json").matchAll(/"expr": "((?:[^"\\]|\\.)*)"/g),
    ].map(([, query]) => query)
    assert.ok(queries.length > 20, `${queries.length} queries`)
    for (const query of queries) {
      for (const [name] of query.matchAll(/\blamplight_[a-z_]+_total\b/g))
        assert.match(query, new RegExp(`(rate|increase)\\(${name}`), `${name} is a counter: ${query}`)
      for (const [, name] of query.matchAll(/\b(lamplight_[a-z_]+)_bucket\b/g))
        assert.equal(types.get(name), "histogram", query)
    }
  })
})

describe("settings", () => {
  const help = execFileSync(BINARY, ["serve", "--help"], { encoding: "utf8" })
  const settings = new Set([...help.matchAll(/\[env: ([A-Z_]+)\]/g)].map(([, name]) => name))
  /** Names of other programs, and of the files themselves. */
  const OTHER = new Set([
    "POSTGRES_PASSWORD",
    "POSTGRES_USER",
    "POSTGRES_DB",
    "POSTGRES_INITDB_ARGS",
    "VALKEY_PASSWORD",
    "REDISCLI_AUTH",
    "CMD",
    "POD_IP",
    "AF_INET",
    "AF_INET6",
    "AF_UNIX",
    "ALL",
    "DS_Store",
    // AWS's variables, for FILES in S3.
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
  ])
  /** A name with an underscore anywhere, or one word where a variable is set. */
  const NAMES = [
    /\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g,
    /^\s*(?:- name: |Environment=|stringData: )?([A-Z]{2,})(?:[:=]|$)/gm,
  ]

  test("each setting in deploy/ and the operations page exists", () => {
    assert.ok(settings.size > 30, help)
    for (const file of [...DEPLOY, OPERATIONS]) {
      for (const pattern of NAMES) {
        for (const [all, word] of read(file).matchAll(pattern)) {
          const name = word ?? all
          assert.ok(settings.has(name) || OTHER.has(name), `${file} names ${name}, which is no setting`)
        }
      }
    }
  })

  test("each command in deploy/ and the operations page exists", () => {
    const commands = execFileSync(BINARY, ["--help"], { encoding: "utf8" })
    for (const file of [...DEPLOY, OPERATIONS]) {
      for (const [, name] of read(file).matchAll(/(?:`|bin\/|^|-- )lamplight ([a-z]+)\b/gm))
        assert.match(commands, new RegExp(`^ +${name}\\b`, "m"), `${file} names "lamplight ${name}"`)
    }
  })
})
