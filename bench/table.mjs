// Converts the load generator's output (one JSON object per line) to a Markdown table of medians and ratios, and an SVG chart.
// Usage: node bench/table.mjs RUNS CHART
import { readFileSync, writeFileSync } from "node:fs"

const [from, chart] = process.argv.slice(2)
const runs = readFileSync(from, "utf8").trim().split("\n").map(JSON.parse)
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]
const us = (value) => `${value.toFixed(value < 10 ? 2 : 1)} µs`
const ms = (value) => `${value.toFixed(value < 10 ? 2 : 0)} ms`
const kib = (value) => `${(value / 1024).toFixed(1)} KiB`
const kb = (value) => `${(value / 1000).toFixed(0)} KB`

const is = (work, more) => (run) =>
  run.work === work && Object.entries(more).every(([key, value]) => run[key] === value)
const compared = ["socketio", "node", "bun", "socketioxide", "centrifugo"]
/** The rows of the table. The first server in `of` is compared with the others; a goal is the maximum ratio to that server. */
const lines = [
  {
    what: "memory of an idle connection",
    fits: is("idle", {}),
    of: ["lamplight", ...compared],
    value: (run) => run.rss_bytes_per_connection,
    as: kib,
    goals: { node: 1 / 4, socketioxide: 1 / 8 },
  },
  {
    what: "CPU to accept a connection",
    fits: is("idle", {}),
    of: [...compared, "lamplight"],
    value: (run) => run.cpu_us_per_accept,
    as: us,
    goals: { node: 1 / 5 },
  },
  {
    what: "CPU to accept a connection: kernel part",
    fits: is("idle", {}),
    of: [...compared, "lamplight"],
    value: (run) => run.kernel_us_per_accept,
    as: us,
    goals: {},
  },
  ...[
    [1, { node: 1 / 4, socketioxide: 1 }],
    [8, { node: 1 / 6, socketioxide: 0.75 }],
  ].flatMap(([flight, goals]) => {
    const fits = is("relay", { in_flight: flight })
    const what = `message to one receiver, not stored, ${flight} in flight`
    return [
      { what: `${what}: CPU`, fits, of: compared, value: (run) => run.cpu_us_per_message, as: us, goals },
      {
        what: `${what}: kernel part of the CPU`,
        fits,
        of: compared,
        value: (run) => run.kernel_us_per_message,
        as: us,
        goals: {},
      },
      { what: `${what}: ack p50`, fits, of: compared, value: (run) => run.ack_ms.p50, as: ms, goals: {} },
      { what: `${what}: ack p99`, fits, of: compared, value: (run) => run.ack_ms.p99, as: ms, goals: {} },
    ]
  }),
  {
    what: "broadcast, 100 queued: CPU per delivery",
    fits: is("broadcast", {}),
    of: compared,
    value: (run) => run.cpu_us_per_delivery,
    as: us,
    goals: { node: 1 / 7, socketioxide: 0.65 },
  },
  ...[1, 8].flatMap((flight) => {
    const fits = is("messages", { in_flight: flight })
    const of = ["lamplight", "original"]
    const what = `stored message, ${flight} in flight`
    return [
      {
        what: `${what}: CPU`,
        fits,
        of,
        value: (run) => run.cpu_us_per_message,
        as: us,
        goals: { original: 1 / 4 },
      },
      { what: `${what}: ack p50`, fits, of, value: (run) => run.ack_ms.p50, as: ms, goals: {} },
      { what: `${what}: ack p99`, fits, of, value: (run) => run.ack_ms.p99, as: ms, goals: {} },
    ]
  }),
  ...[
    ["time until all are online", (run) => run.all_online_ms, ms],
    ["ack p50", (run) => run.join_ms.p50, ms],
    ["CPU per user", (run) => run.cpu_us_per_join, us],
  ].map(([part, value, as]) => ({
    what: `5,000 new users, 64 at a time: ${part}`,
    fits: is("joins", { users: 5000 }),
    of: ["lamplight"],
    value,
    as,
    goals: {},
  })),
  ...[
    ["full", 1 / 25],
    ["diff", 1 / 80],
  ].flatMap(([mode, goal]) => {
    const fits = (run) => run.work === "storm" && (run.mode === mode || run.server === "original")
    const of = ["lamplight", "original"]
    const what = `mass join, roster \`${mode}\``
    return [
      {
        what: `${what}: bytes per client`,
        fits,
        of,
        value: (run) => run.bytes_to_each.median,
        as: kb,
        goals: { original: goal },
      },
      {
        what: `${what}: time until all know all`,
        fits,
        of,
        value: (run) => run.all_known_ms.max,
        as: ms,
        goals: {},
      },
      { what: `${what}: total CPU`, fits, of, value: (run) => run.server_cpu_ms, as: ms, goals: {} },
    ]
  }),
]

const names = {
  lamplight: "Lamplight",
  socketio: "crates/socketio",
  node: "Node, socket.io",
  bun: "Bun, socket.io",
  socketioxide: "socketioxide",
  centrifugo: "Centrifugo",
  original: "the original system",
}

/** The rows of the second table: nodes that share PostgreSQL and Redis. A limit is an absolute goal. */
const stored = (flight) => {
  const fits = is("messages", { in_flight: flight })
  const cpu = (what, of, goals) => ({
    what: `stored message, ${flight} in flight, ${what}: CPU of all nodes`,
    fits,
    of,
    value: (run) => run.cpu_us_per_message,
    as: us,
    goals,
  })
  return [
    cpu("one node", ["lamplight-cluster", "lamplight-postgres", "original"], { original: 1 / 3 }),
    cpu("sent on one node and received on another", ["lamplight-cluster-2", "original-2"], {
      "original-2": 1 / 3,
    }),
    // Two nodes carry 1.7 times as much as one if a message costs them together at most 2 / 1.7 as much.
    cpu("two nodes against one", ["lamplight-cluster-2", "lamplight-cluster"], {
      "lamplight-cluster": 2 / 1.7,
    }),
    cpu("all connections on one node of three", ["lamplight-cluster-3", "lamplight-postgres"], {
      "lamplight-postgres": 1.2,
    }),
    {
      what: `stored message, ${flight} in flight: ack p50`,
      fits,
      of: ["lamplight-cluster", "lamplight-postgres", "lamplight-cluster-2", "original", "original-2"],
      value: (run) => run.ack_ms.p50,
      as: ms,
      goals: {},
    },
    {
      what: `stored message, ${flight} in flight: messages a second`,
      fits,
      of: ["lamplight-cluster", "lamplight-postgres", "lamplight-cluster-2", "original", "original-2"],
      value: (run) => run.per_second,
      as: (value) => value.toFixed(0),
      goals: {},
    },
  ]
}
const clusterLines = [
  ...[1, 8].flatMap(stored),
  {
    what: "memory of an idle connection, on one node of three",
    fits: is("idle", {}),
    of: ["lamplight-cluster-3", "lamplight-postgres"],
    value: (run) => run.rss_bytes_per_connection,
    as: kib,
    goals: { "lamplight-postgres": 1.2 },
  },
  {
    what: "from join_user on one node to the event on another: p50",
    fits: is("seen", {}),
    of: ["lamplight-cluster-2"],
    value: (run) => run.known_ms.p50,
    as: ms,
    goals: {},
    most: 100,
  },
  {
    what: "from join_user on one node to the event on another: p99",
    fits: is("seen", {}),
    of: ["lamplight-cluster-2"],
    value: (run) => run.known_ms.p99,
    as: ms,
    goals: {},
  },
]
const clusterNames = {
  "lamplight-postgres": "Lamplight, PostgreSQL only",
  "lamplight-cluster": "Lamplight, 1 node with Redis",
  "lamplight-cluster-2": "2 nodes",
  "lamplight-cluster-3": "3 nodes",
  original: "the original system",
  "original-2": "the original system, 2 nodes",
}

function measure(rows) {
  return rows.map((line) => {
    const figures = line.of.flatMap((server) => {
      const values = runs.filter((run) => run.server === server && line.fits(run)).map(line.value)
      return values.length === 0 ? [] : [{ server, value: median(values), times: values.length }]
    })
    return { ...line, figures }
  })
}

function print(rows, columns) {
  const head = ["measurement", ...Object.values(columns), "ratio (goal)"]
  console.log(`| ${head.join(" | ")} |\n|${"---|".repeat(head.length)}`)
  for (const { what, of, figures, as, goals, most } of rows) {
    const [own, ...others] = figures
    if (own?.server !== of[0]) continue
    const cells = Object.keys(columns).map((name) => {
      const found = figures.find((figure) => figure.server === name)
      return found ? as(found.value) : ""
    })
    const ratios = others
      .filter(({ server }) => goals[server] !== undefined)
      .map(({ server, value }) => {
        const ratio = own.value / value
        const sign = ratio <= goals[server] ? "✓" : "✗"
        return `${ratio.toPrecision(2)} of ${columns[server]} (${goals[server].toPrecision(2)}) ${sign}`
      })
    if (most !== undefined) ratios.push(`at most ${as(most)} ${own.value <= most ? "✓" : "✗"}`)
    console.log(`| ${[what, ...cells, ratios.join("; ")].join(" | ")} |`)
  }
}

const measured = measure(lines)
print(measured, names)
const clusters = measure(clusterLines)
if (clusters.some(({ figures }) => figures.some(({ server }) => server.startsWith("lamplight-")))) {
  console.log("\nNodes that share PostgreSQL and Redis:\n")
  print(clusters, clusterNames)
}
const times = new Set(
  [...measured, ...clusters].flatMap(({ figures }) => figures.map((figure) => figure.times)),
)
console.log(`\nMedians of ${[...times].sort((a, b) => a - b).join(" to ")} interleaved runs.`)

// One group of bars per row, relative to its longest bar.
const colours = {
  lamplight: "#b45309",
  socketio: "#f59e0b",
  node: "#4d7c0f",
  bun: "#a16207",
  socketioxide: "#475569",
  centrifugo: "#0e7490",
  original: "#9f1239",
}
const bar = 15
let y = 34
const parts = []
for (const { what, figures, as } of measured) {
  if (figures.length === 0) continue
  const longest = Math.max(...figures.map((figure) => figure.value))
  parts.push(`<text x="12" y="${y}" font-weight="600">${what.replaceAll("`", "")}</text>`)
  for (const { server, value } of figures) {
    const width = Math.max(1, (value / longest) * 460)
    parts.push(
      `<text x="150" y="${y + bar}" text-anchor="end">${names[server]}</text>`,
      `<rect x="158" y="${y + 4}" width="${width.toFixed(1)}" height="${bar - 3}" fill="${colours[server]}"/>`,
      `<text x="${(164 + width).toFixed(1)}" y="${y + bar}">${as(value)}</text>`,
    )
    y += bar
  }
  y += 28
}
writeFileSync(
  chart,
  `<svg xmlns="http://www.w3.org/2000/svg" width="720" height="${y}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
${parts.join("\n")}
</svg>
`,
)
