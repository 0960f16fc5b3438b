// Computes the nodes, Redis and PostgreSQL that users online need, from the assumptions in inputs.json and the
// costs in measured.json, and prints the tables of docs/scale.md and docs/operations.md.
//
//   node bench/scale/model.mjs                                  the tables
//   node bench/scale/model.mjs --set messagesPerHour=30 --people 200000
//   node bench/scale/model.mjs --measured my-costs.json --inputs my-use.json
import { readFileSync } from "node:fs"
import { parseArgs } from "node:util"

const here = (name) => new URL(name, import.meta.url).pathname
const { values: options } = parseArgs({
  options: {
    inputs: { type: "string", default: here("inputs.json") },
    measured: { type: "string", default: here("measured.json") },
    people: { type: "string", multiple: true, default: ["10000", "1000000", "10000000"] },
    set: { type: "string", multiple: true, default: [] },
  },
})
const file = JSON.parse(readFileSync(options.inputs, "utf8"))
const measured = JSON.parse(readFileSync(options.measured, "utf8"))

/** The costs of the model: unit, value, and how it follows from what measure.mjs printed. */
const COSTS = {
  nodeBytesEmpty: ["bytes", (m) => m.memory.empty_node, "`memory.empty_node`"],
  nodeBytesOfAConnection: [
    "bytes",
    (m) => m.memory.node_of_the_user - m.memory.another_node,
    "`memory.node_of_the_user` without `memory.another_node`",
  ],
  nodeBytesOfAPerson: ["bytes", (m) => m.memory.another_node, "`memory.another_node`: the copy"],
  nodeCpuOfAJoin: ["µs", (m) => m.return.node_cpu_us, "`return.node_cpu_us`, the connection included"],
  nodeCpuOfANewPerson: [
    "µs",
    (m) => Math.max(0, m.join.node_cpu_us - m.return.node_cpu_us),
    "`join.node_cpu_us` above that",
  ],
  nodeCpuOfAnOpening: ["µs", (m) => m.opening.node_cpu_us, "`opening.node_cpu_us`"],
  nodeCpuOfADeparture: ["µs", (m) => m.departure.node_cpu_us, "`departure.node_cpu_us`"],
  nodeCpuOfAHeartbeat: ["µs", (m) => m.heartbeat.node_cpu_us, "`heartbeat.node_cpu_us`"],
  nodeCpuOfAMessage: [
    "µs",
    (m) => m.message_alone.node_cpu_us + m.message_alone.other_node_cpu_us,
    "`message_alone`, on the sender's and the receiver's node",
  ],
  nodeCpuOfAChange: [
    "µs",
    (m) => (m.return.other_node_cpu_us + m.departure.other_node_cpu_us) / 2,
    "`return` and `departure`, on the other node",
  ],
  nodeCpuOfADelivery: [
    "µs",
    (m) => m.message.other_node_cpu_us,
    "`message.other_node_cpu_us`; a change in a batch costs less",
  ],
  scriptsOfAJoin: ["calls", (m) => m.return.redis_scripts, "`return.redis_scripts`"],
  scriptsOfADeparture: [
    "calls",
    (m) => m.departure.redis_scripts,
    "`departure.redis_scripts`, the grace period included",
  ],
  scriptsOfAHeartbeat: ["calls", (m) => m.heartbeat.redis_scripts, "`heartbeat.redis_scripts`"],
  scriptsOfANode: ["calls/s", (m) => m.quiet.redis_scripts / 2, "half of `quiet.redis_scripts`: two nodes"],
  redisCpuOfAJoin: ["µs", (m) => m.return.redis_cpu_us, "`return.redis_cpu_us`"],
  redisCpuOfADeparture: ["µs", (m) => m.departure.redis_cpu_us, "`departure.redis_cpu_us`"],
  redisCpuOfAHeartbeat: ["µs", (m) => m.heartbeat.redis_cpu_us, "`heartbeat.redis_cpu_us`"],
  redisCpuOfANode: ["µs/s", (m) => m.quiet.redis_cpu_us / 2, "half of `quiet.redis_cpu_us`"],
  redisCpuOfAMessage: [
    "µs",
    (m) => m.message.redis_cpu_us,
    "`message.redis_cpu_us`: Redis is busy with all nodes",
  ],
  redisCpuOfACopy: [
    "µs",
    (m) => m.copy.redis_cpu_us,
    "`copy.redis_cpu_us`: a change of 250 bytes to one more node",
  ],
  redisBytesOutOfAHeartbeat: ["bytes", (m) => m.heartbeat.redis_bytes_out, "`heartbeat.redis_bytes_out`"],
  redisBytesOutOfAMessage: [
    "bytes",
    (m) => m.message_alone.redis_bytes_out,
    "`message_alone.redis_bytes_out`",
  ],
  redisBytesOfACopy: ["bytes", (m) => m.copy.redis_bytes_out, "`copy.redis_bytes_out`"],
  redisBytesOfASession: ["bytes", (m) => m.memory.redis, "`memory.redis`"],
  commitsOfAJoin: ["", (m) => m.return.postgres_commits, "`return.postgres_commits`"],
  commitsOfANewPerson: [
    "",
    (m) => Math.max(0, m.join.postgres_commits - m.return.postgres_commits),
    "`join.postgres_commits` above that",
  ],
  commitsOfAnOpening: ["", (m) => m.opening.postgres_commits, "`opening.postgres_commits`; they only read"],
  commitsOfADeparture: ["", (m) => m.departure.postgres_commits, "`departure.postgres_commits`, in batches"],
  commitsOfAMessage: ["", (m) => m.message_alone.postgres_commits, "`message_alone.postgres_commits`"],
  postgresCpuOfAJoin: ["µs", (m) => m.return.postgres_cpu_us, "`return.postgres_cpu_us`"],
  postgresCpuOfANewPerson: [
    "µs",
    (m) => Math.max(0, m.join.postgres_cpu_us - m.return.postgres_cpu_us),
    "`join.postgres_cpu_us` above that",
  ],
  postgresCpuOfAnOpening: ["µs", (m) => m.opening.postgres_cpu_us, "`opening.postgres_cpu_us`"],
  postgresCpuOfADeparture: ["µs", (m) => m.departure.postgres_cpu_us, "`departure.postgres_cpu_us`"],
  postgresCpuOfAMessage: ["µs", (m) => m.message_alone.postgres_cpu_us, "`message_alone.postgres_cpu_us`"],
  postgresCpuInABatch: [
    "µs",
    (m) => m.message.postgres_cpu_us,
    "`message.postgres_cpu_us`, of a message in a batch",
  ],
  walOfANewPerson: ["bytes", (m) => m.join.postgres_wal_bytes, "`join.postgres_wal_bytes`"],
  walOfADeparture: ["bytes", (m) => m.departure.postgres_wal_bytes, "`departure.postgres_wal_bytes`"],
  walOfAMessage: ["bytes", (m) => m.message_alone.postgres_wal_bytes, "`message_alone.postgres_wal_bytes`"],
  bytesOfAStoredMessage: [
    "bytes",
    (m) => m.message.postgres_entries_bytes,
    "`message.postgres_entries_bytes`, indexes included",
  ],
}

const inputs = {}
for (const group of [file.use, file.machines])
  for (const [name, { value }] of Object.entries(group)) inputs[name] = value
for (const [name, [, value]] of Object.entries(COSTS)) inputs[name] = value(measured)
for (const change of options.set) {
  const [name, value] = change.split("=")
  if (!(name in inputs) || !Number.isFinite(Number(value))) {
    console.error(`--set ${change}: the inputs are ${Object.keys(inputs).join(", ")}`)
    process.exit(1)
  }
  inputs[name] = Number(value)
}

/** The resources for a number of users. Rates are for a second, bytes are bytes, CPU is in cores. */
export function model(people, i) {
  const sessions = people * i.sessionsOfAPerson
  const perHour = (each) => (people * each) / 3600
  const joins = sessions / (i.minutesOfASession * 60)
  const departures = joins
  const heartbeats = sessions / i.secondsBetweenHeartbeats
  const messages = perHour(i.messagesPerHour)
  const statuses = perHour(i.statusChangesPerHour)
  // A message counts as activity of its sender, and a status costs about as much as a heartbeat.
  const beats = heartbeats + messages + statuses
  const newPeople = joins * i.shareOfNewPeople
  // What other people see; a person with two sessions comes and goes less often than the sessions do.
  const changes = joins / i.sessionsOfAPerson + departures / i.sessionsOfAPerson + statuses
  const events = changes * i.watchersOfAPerson

  // Nodes. Each holds its connections and a copy of everyone who is shown; each applies every change.
  const micro = 1e-6
  const shared =
    micro *
    (beats * i.nodeCpuOfAHeartbeat +
      joins * (i.nodeCpuOfAJoin + i.nodeCpuOfAnOpening) +
      newPeople * i.nodeCpuOfANewPerson +
      departures * i.nodeCpuOfADeparture +
      messages * i.nodeCpuOfAMessage +
      events * i.nodeCpuOfADelivery)
  const everywhere = micro * changes * i.nodeCpuOfAChange
  const copy = people * i.nodeBytesOfAPerson
  const budget = i.coresOfANode * i.utilization
  const room = i.memoryOfANode * i.utilization - i.nodeBytesEmpty - copy
  const byCpu = everywhere < budget ? shared / (budget - everywhere) : Number.POSITIVE_INFINITY
  const byMemory = room > 0 ? (sessions * i.nodeBytesOfAConnection) / room : Number.POSITIVE_INFINITY
  const byConnections = sessions / i.connectionsOfANode
  const needed = Math.ceil(Math.max(byCpu, byMemory, byConnections))
  // One more, so that one may die.
  const nodes = Number.isFinite(needed) ? needed + 1 : Number.POSITIVE_INFINITY
  const counted = Number.isFinite(nodes) ? nodes : Math.ceil(Math.max(shared / budget, byConnections)) + 1

  // Redis. Scripts are spread over the buckets; plain channels are not.
  const scripts =
    beats * i.scriptsOfAHeartbeat +
    joins * i.scriptsOfAJoin +
    departures * i.scriptsOfADeparture +
    counted * i.scriptsOfANode
  const redisScripts =
    micro *
    (beats * i.redisCpuOfAHeartbeat +
      joins * i.redisCpuOfAJoin +
      departures * i.redisCpuOfADeparture +
      counted * i.redisCpuOfANode)
  const copies = changes * counted
  const redisChannels = micro * (messages * i.redisCpuOfAMessage + copies * i.redisCpuOfACopy)
  const redisOut =
    beats * i.redisBytesOutOfAHeartbeat + messages * i.redisBytesOutOfAMessage + copies * i.redisBytesOfACopy
  const redisMemory = sessions * i.redisBytesOfASession
  const byScripts = redisScripts / i.utilization
  const shards = Math.ceil(Math.max(byScripts, redisMemory / (i.memoryOfRedis * i.utilization), 1))

  // PostgreSQL. Only the primary is counted.
  const commits =
    messages * i.commitsOfAMessage +
    joins * (i.commitsOfAJoin + i.commitsOfAnOpening) +
    newPeople * i.commitsOfANewPerson +
    departures * i.commitsOfADeparture
  const wal = messages * i.walOfAMessage + newPeople * i.walOfANewPerson + departures * i.walOfADeparture
  const postgresCpu =
    micro *
    (messages * i.postgresCpuOfAMessage +
      joins * (i.postgresCpuOfAJoin + i.postgresCpuOfAnOpening) +
      newPeople * i.postgresCpuOfANewPerson +
      departures * i.postgresCpuOfADeparture)
  const inBatches = postgresCpu - micro * messages * (i.postgresCpuOfAMessage - i.postgresCpuInABatch)
  const postgresADay = messages * i.bytesOfAStoredMessage * i.busyHoursOfADay * 3600

  // How full each part is, where 1 is all of one: one core of Redis, one primary, the cores of one node.
  const load = {
    "Redis: scripts": redisScripts,
    "Redis: channels": redisChannels,
    "Redis: bytes out": redisOut / i.networkOfRedis,
    "PostgreSQL: CPU, each message alone": postgresCpu / i.coresOfPostgres,
    "PostgreSQL: CPU, messages in batches": inBatches / i.coresOfPostgres,
    "PostgreSQL: log": wal / i.walOfPostgres,
    "a node: changes of everyone": everywhere / i.coresOfANode,
    "a node: copy of everyone": copy / i.memoryOfANode,
  }
  return {
    sessions,
    joins,
    heartbeats,
    changes,
    messages,
    events,
    nodes,
    counted,
    shared,
    everywhere,
    copy,
    memoryOfANode: i.nodeBytesEmpty + copy + (sessions / Math.max(1, counted - 1)) * i.nodeBytesOfAConnection,
    connectionsOfANode: sessions / Math.max(1, counted - 1),
    scripts,
    redisScripts,
    redisChannels,
    redisOut,
    redisMemory,
    shards,
    copies,
    commits,
    wal,
    postgresCpu,
    inBatches,
    postgresADay,
    newPeople,
    departures,
    load,
  }
}

const SIZES = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
]
const three = (value) => String(Number(value.toPrecision(value >= 100 ? 3 : 2)))
const big = (value) => {
  if (!Number.isFinite(value)) return "no number"
  const [size, letter] = SIZES.find(([size]) => value >= size * 0.9995) ?? [1, ""]
  return `${three(value / size)}${letter && ` ${letter}`}`
}
const count = (value) =>
  Number.isFinite(value) ? Number(value.toPrecision(3)).toLocaleString("en-US") : "no number is enough"
const rate = (value) => `${count(value)}/s`
const bytes = (value) => {
  const text = big(value)
  return text.includes(" ") ? `${text}B` : `${text} B`
}
const percent = (value) => `${three(value * 100)} %`
const cores = (value) => three(value)

function table(head, rows) {
  const lines = [head, head.map((_, column) => (column ? "--:" : "---")), ...rows]
  return lines
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n")
    .replace("| --- |", "|---|")
    .replaceAll(" --: |", "--:|")
}

const wanted = options.people.map(Number)
const columns = (results) => [
  ["**use**", ...results.map(() => "")],
  ["sessions", ...results.map((r) => count(r.sessions))],
  ["heartbeats", ...results.map((r) => rate(r.heartbeats))],
  ["arrivals, and as many departures", ...results.map((r) => rate(r.joins))],
  ["changes that others see", ...results.map((r) => rate(r.changes))],
  ["messages", ...results.map((r) => rate(r.messages))],
  ["**nodes**", ...results.map(() => "")],
  ["nodes, one of them spare", ...results.map((r) => count(r.nodes))],
  ["connections of a node", ...results.map((r) => count(r.connectionsOfANode))],
  ["memory of a node", ...results.map((r) => bytes(r.memoryOfANode))],
  ["of this, the copy of everyone", ...results.map((r) => bytes(r.copy))],
  ["cores of a node for changes of everyone", ...results.map((r) => cores(r.everywhere))],
  ["**Redis**", ...results.map(() => "")],
  ["script calls", ...results.map((r) => rate(r.scripts))],
  ["cores for scripts", ...results.map((r) => cores(r.redisScripts))],
  ["cores for channels", ...results.map((r) => cores(r.redisChannels))],
  ["primaries for the scripts and the memory", ...results.map((r) => count(r.shards))],
  ["bytes sent", ...results.map((r) => `${bytes(r.redisOut)}/s`)],
  ["memory", ...results.map((r) => bytes(r.redisMemory))],
  ["**PostgreSQL**", ...results.map(() => "")],
  ["transactions", ...results.map((r) => rate(r.commits))],
  [
    "cores, messages in batches or each alone",
    ...results.map((r) => `${cores(r.inBatches)} to ${cores(r.postgresCpu)}`),
  ],
  ["write-ahead log", ...results.map((r) => `${bytes(r.wal)}/s`)],
  ["new data in a day", ...results.map((r) => bytes(r.postgresADay))],
]

function print(name, text) {
  console.log(`<!-- ${name} -->\n${text}\n<!-- /${name} -->\n`)
}

const results = wanted.map((people) => model(people, inputs))
const heads = wanted.map((people) => `${count(people)} online`)
print("needs", table(["", ...heads], columns(results)))
print(
  "load",
  table(
    ["part, as a share of one", ...heads],
    Object.keys(results[0].load).map((part) => [part, ...results.map((r) => percent(r.load[part]))]),
  ),
)
const firsts = results.map((r) =>
  Object.entries(r.load).reduce((most, one) => (one[1] > most[1] ? one : most)),
)
/** How many people fill one of each part. Each load is nearly linear, so a search finds it. */
const full = (part, i) => {
  let [low, high] = [1, 1e10]
  while (high - low > low / 1000) {
    const middle = Math.sqrt(low * high)
    if (model(middle, i).load[part] > i.utilization) high = middle
    else low = middle
  }
  return low
}
/** Possible improvements that are not built, and their effect. */
const rarer = { ...inputs, secondsBetweenHeartbeats: 300 }
print(
  "limits",
  table(
    [`part, ${percent(inputs.utilization)} full`, "people online", "with a heartbeat every 300 s"],
    Object.keys(results[0].load)
      .map((part) => [part, full(part, inputs), full(part, rarer)])
      .sort((a, b) => a[1] - b[1])
      .map(([part, ...people]) => [part, ...people.map((one) => count(Number(one.toPrecision(2))))]),
  ),
)
print(
  "first",
  table(
    ["people online", "the fullest part", "share of one"],
    firsts.map(([part, share], n) => [count(wanted[n]), part, percent(share)]),
  ),
)
const sizes = [10_000, 100_000, 300_000, 1_000_000].map((people) => [people, model(people, inputs)])
print(
  "sizing",
  table(
    [
      "people online",
      "nodes",
      "memory of a node",
      "Redis: cores",
      "Redis: memory",
      "PostgreSQL: cores",
      "PostgreSQL: new data in a day",
    ],
    sizes.map(([people, r]) => [
      count(people),
      count(r.nodes),
      bytes(r.memoryOfANode),
      cores(r.redisScripts + r.redisChannels),
      bytes(r.redisMemory),
      `${cores(r.inBatches)} to ${cores(r.postgresCpu)}`,
      bytes(r.postgresADay),
    ]),
  ),
)
/** A table of inputs: their names, values, and where they come from. */
function listed(name, head, rows) {
  const shown = rows.map(([input, unit, source]) => {
    const value = unit.startsWith("bytes")
      ? bytes(inputs[input]) + unit.slice("bytes".length).replace(" a second", "/s")
      : `${count(inputs[input])} ${unit}`
    return [`\`${input}\``, value.trim(), source]
  })
  print(name, table(head, shown).replaceAll("--:", "---"))
}
const given = (group) => Object.entries(group).map(([name, { unit, source }]) => [name, unit, source])
listed("use", ["assumption", "value", "meaning"], given(file.use))
listed("machines", ["limit", "value", "meaning"], given(file.machines))
listed(
  "costs",
  ["cost", "value", "from"],
  Object.entries(COSTS).map(([name, [unit, , source]]) => [name, unit, source]),
)
