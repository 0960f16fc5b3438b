// Measures what groups, reactions, search, and appends beside them cost a server, on SQLite and PostgreSQL, against their
// goals. Prints a table; figures of one run are to be compared with each other only.
//
//   LAMPLIGHT_BIN=target/release/lamplight node bench/features/measure.mjs [group] [history] [search] [append]
//
//   MEMBERS=1000       of the group, all online
//   MESSAGES=1000000   that are searched
//   BASE_BIN=          an earlier binary: appends and joins are compared with it, in turns
//   LOADGEN=target/release/lamplight-loadgen
import { execFile } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { Agent, request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { joinAll } from "../../tests/e2e/support/lean.mjs"
import { BINARY, Server } from "../../tests/e2e/support/node.mjs"
import { OPEN } from "../../tests/e2e/support/server.mjs"
import { startPostgres } from "../../tests/e2e/support/services.mjs"
import { bareWrite } from "./bare-writes.mjs"

const PARTS = ["group", "history", "search", "append"]
const parts = process.argv.length > 2 ? process.argv.slice(2) : PARTS
const MEMBERS = Number(process.env.MEMBERS ?? 1_000)
const MESSAGES = Number(process.env.MESSAGES ?? 1_000_000)
const { BASE_BIN, LOADGEN = "target/release/lamplight-loadgen" } = process.env
const ROUNDS = 5
const settings = {
  ...OPEN,
  LIMIT_SENDS: "0",
  LIMIT_READS: "0",
  LIMIT_CONVERSATIONS: "0",
  GROUP_LIMIT: String(MEMBERS),
  LOG: "error",
}
const CONVERSATIONS = "/api/privatechat/conversations"

/** A server of its own directory, and what removes it. */
async function started(more = {}, binary = undefined) {
  const home = await mkdtemp(join(tmpdir(), "lamplight-features-"))
  const instead = binary && ["sh", "-c", 'exec "$0" serve', binary]
  const server = new Server(home, { ...settings, ...more }, instead ?? [])
  await server.start()
  return {
    server,
    async dispose() {
      await server.stop()
      await rm(home, { recursive: true, force: true })
    },
  }
}

/** User and kernel time of a process' threads in µs. */
function cpu(pid) {
  const threads = readdirSync(`/proc/${pid}/task`)
  const time = (thread) => {
    try {
      return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]) / 1_000
    } catch {
      return 0
    }
  }
  return threads.reduce((sum, thread) => sum + time(thread), 0)
}

const median = (numbers) => numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)]
const percentile = (numbers, part) =>
  numbers.toSorted((one, other) => one - other)[Math.floor((numbers.length - 1) * part)]

const agent = new Agent({ keepAlive: true, maxSockets: 64 })
/** A request over a connection that stays open; the parsed body. */
function ask(server, as, method, path, body) {
  return new Promise((resolve, reject) => {
    const text = body && JSON.stringify(body)
    const headers = { "x-user-id": as, ...(text && { "content-type": "application/json" }) }
    const sent = request(server.url + path, { method, agent, headers }, (answer) => {
      let all = ""
      answer.setEncoding("utf8")
      answer.on("data", (part) => {
        all += part
      })
      answer.on("end", () => resolve(JSON.parse(all)))
    })
    sent.on("error", reject)
    sent.end(text)
  })
}

async function must(...words) {
  const answer = await ask(...words)
  if (!answer.success) throw new Error(`${words.slice(2, 4).join(" ")}: ${JSON.stringify(answer)}`)
  return answer
}

/** Works through a list, some at a time. */
async function each(list, atOnce, work) {
  const waiting = list[Symbol.iterator]()
  const worker = async () => {
    for (const one of waiting) await work(one)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

const rows = []
function row(what, value, goal, unit = "") {
  const text = `${value.toFixed(2)}${unit}`
  const verdict = goal === undefined ? "" : value <= goal ? `met (${goal}${unit})` : `MISSED (${goal}${unit})`
  rows.push([what, text, verdict])
  console.error(`${what}: ${text} ${verdict}`)
}

/**
 * Messages to a group whose members are all online, one and eight at a time: CPU of the server for each delivery. The
 * kernel's part of one at a time is a write for each delivery; of several, receivers get more than one by each write.
 */
async function group(store, server) {
  const ids = Array.from({ length: MEMBERS }, (_, number) => `m${number}`)
  const clients = await joinAll(server.url, ids)
  const made = await must(server, ids[0], "POST", CONVERSATIONS, { memberIds: ids })
  const conversationId = made.conversation.id
  const sender = clients.get(ids[0])
  const others = ids.slice(1).map((id) => clients.get(id))
  const received = () => others.reduce((sum, client) => sum + client.received, 0)
  const send = async (count, atOnce) => {
    const goal = received() + count * others.length
    await each(Array.from({ length: count }), atOnce, async () => {
      const body = { conversationId, content: "x".repeat(100) }
      const answer = await sender.ask("send_private_message", body)
      if (!answer.success) throw new Error(answer.error)
    })
    while (received() < goal) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const cost = async (atOnce) => {
    await send(20, atOnce)
    const figures = []
    for (let round = 0; round < ROUNDS; round++) {
      const before = cpu(server.pid)
      await send(100, atOnce)
      figures.push((cpu(server.pid) - before) / 100 / others.length)
    }
    return median(figures)
  }
  const [one, eight] = [await cost(1), await cost(8)]
  for (const client of clients.values()) client.cut()
  const bare = await bareWrite(MEMBERS, 260)
  const what = `${store}: message to ${MEMBERS} online members, CPU for each delivery`
  row(`a bare write to each of ${MEMBERS} sockets, kernel time for each`, bare, undefined, " µs")
  row(`${what}, one at a time`, one, undefined, " µs")
  row(`${what}, eight at a time`, eight, 1.5, " µs")
}

/** A page whose messages all have reactions, against one whose messages have none. */
async function history(store, server) {
  const open = async (one, two) =>
    (await must(server, one, "POST", CONVERSATIONS, { userId: two })).conversation.id
  const plain = await open("h1", "h2")
  const reacted = await open("h3", "h4")
  for (const [id, one, two] of [
    [plain, "h1", "h2"],
    [reacted, "h3", "h4"],
  ]) {
    for (let number = 0; number < 60; number++) {
      const body = { conversationId: id, content: "x".repeat(100) }
      const { message } = await must(server, one, "POST", "/api/privatechat/message", body)
      if (id !== reacted) continue
      for (const by of [one, two]) {
        const path = `/api/privatechat/messages/${id}/${message.id}/reactions/${encodeURIComponent("👍")}`
        await must(server, by, "PUT", path)
      }
    }
  }
  const pages = async (id, as) => {
    const before = cpu(server.pid)
    const requests = Array.from({ length: 400 })
    await each(requests, 8, () => must(server, as, "GET", `/api/privatechat/messages/${id}`))
    return (cpu(server.pid) - before) / requests.length
  }
  await pages(plain, "h1")
  await pages(reacted, "h3")
  const ratios = []
  const costs = []
  for (let round = 0; round < ROUNDS; round++) {
    const cost = await pages(plain, "h1")
    costs.push(cost)
    ratios.push((await pages(reacted, "h3")) / cost)
  }
  row(`${store}: page of 50 messages, CPU`, median(costs), undefined, " µs")
  row(`${store}: the same with two reactions on each message, ratio`, median(ratios), 1.5)
}

const WORDS =
  "amber birch cedar delta ember flint grove heron ivory jetty kestrel lumen maple nadir ochre plume"
    .split(" ")
    .flatMap((one) => ["", "s", "ing", "ed", "ly", "er"].map((end) => one + end))

/** A search of one's conversations among many messages. */
async function search(store, server) {
  const people = Array.from({ length: 50 }, (_, number) => `s${number}`)
  const clients = await joinAll(server.url, people)
  const places = []
  for (const [at, id] of people.entries()) {
    for (const step of [1, 2, 3]) {
      const other = people[(at + step) % people.length]
      places.push({
        id: (await must(server, id, "POST", CONVERSATIONS, { userId: other })).conversation.id,
        by: id,
      })
    }
  }
  let seed = 1
  const random = (below) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((seed / 2_147_483_648) * below)
  }
  const word = () => WORDS[Math.min(random(WORDS.length), random(WORDS.length))]
  const began = performance.now()
  await each(Array.from({ length: MESSAGES }).keys(), 512, async (number) => {
    const { id, by } = places[number % places.length]
    const content = `${Array.from({ length: 9 }, word).join(" ")} n${number}`
    const answer = await clients.get(by).ask("send_private_message", { conversationId: id, content })
    if (!answer.success) throw new Error(answer.error)
  })
  // The last message of the first of the conversations, which is one of this person's.
  const last = MESSAGES - 1 - ((MESSAGES - 1) % places.length)
  const found = async () => {
    const { data } = await must(server, people[0], "GET", `/api/privatechat/search?query=n${last}`)
    return data.length > 0
  }
  while (!(await found())) await new Promise((resolve) => setTimeout(resolve, 500))
  const took = ((performance.now() - began) / 1_000).toFixed(0)
  console.error(`${store}: ${MESSAGES} messages sent and indexed in ${took} s`)
  const times = []
  for (let number = 0; number < 300; number++) {
    const as = people[random(people.length)]
    const queries = [word(), `${word()} ${word()}`, word().slice(0, 3), `n${random(MESSAGES)}`]
    const query = encodeURIComponent(queries[number % queries.length])
    const at = performance.now()
    await must(server, as, "GET", `/api/privatechat/search?query=${query}`)
    times.push(performance.now() - at)
  }
  for (const client of clients.values()) client.cut()
  row(`${store}: search among ${MESSAGES} messages, p50`, percentile(times, 0.5), undefined, " ms")
  row(`${store}: search among ${MESSAGES} messages, p95`, percentile(times, 0.95), 50, " ms")
}

/** A stored message, and a join of a new user, against an earlier binary: in turns, on fresh servers. */
async function append() {
  if (!BASE_BIN) return console.error("append: BASE_BIN names no earlier binary, so that is left out")
  const once = async (binary, words, field) => {
    const { server, dispose } = await started({}, binary)
    try {
      const { host } = new URL(server.url)
      const all = ["--server", host, "--pid", String(server.pid), ...words]
      const { stdout } = await promisify(execFile)(LOADGEN, all)
      return JSON.parse(stdout)[field]
    } finally {
      await dispose()
    }
  }
  const works = [
    [
      "stored message, 1 in flight",
      ["messages", "--pairs", "50", "--in-flight", "1", "--each", "200"],
      "cpu_us_per_message",
      1.1,
    ],
    [
      "stored message, 8 in flight",
      ["messages", "--pairs", "50", "--in-flight", "8", "--each", "200"],
      "cpu_us_per_message",
      1.1,
    ],
    [
      "5,000 joins, 64 at a time",
      ["joins", "--users", "5000", "--in-flight", "64"],
      "cpu_us_per_join",
      undefined,
    ],
  ]
  for (const [what, words, field, goal] of works) {
    const ratios = []
    const costs = []
    for (let round = 0; round < ROUNDS; round++) {
      const pair = round % 2 === 0 ? [BINARY, BASE_BIN] : [BASE_BIN, BINARY]
      const figures = new Map()
      for (const binary of pair) figures.set(binary, await once(binary, words, field))
      ratios.push(figures.get(BINARY) / figures.get(BASE_BIN))
      costs.push(figures.get(BINARY))
    }
    row(`sqlite: ${what}, CPU`, median(costs), undefined, " µs")
    row(`sqlite: ${what}, ratio to the earlier binary`, median(ratios), goal)
  }
}

const postgres = parts.some((part) => part !== "append") ? await startPostgres({ fsync: "on" }) : null
try {
  for (const [name, work] of Object.entries({ group, history, search })) {
    if (!parts.includes(name)) continue
    for (const store of ["sqlite", "postgres"]) {
      const url = store === "postgres" ? await postgres.database() : undefined
      const { server, dispose } = await started(url && { DATABASE_URL: url })
      try {
        await work(store, server)
      } finally {
        await dispose()
      }
    }
  }
  if (parts.includes("append")) await append()
} finally {
  await postgres?.stop()
}
console.log("| measured | figure | goal |\n|---|---|---|")
for (const one of rows) console.log(`| ${one.join(" | ")} |`)
process.exit(0)
