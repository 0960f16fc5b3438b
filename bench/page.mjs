// Measures the speed of the page in a real Chromium against the built binary, with a throttled processor:
//
//   node bench/page.mjs            switches of conversation, and jumps in a conversation of 100,000 messages
//   MESSAGES=20000 node bench/page.mjs
//   ONLY=switches node bench/page.mjs
//   ONLY=start node bench/page.mjs       how soon it can be used on a phone over 4G (PROFILE=1 lists the requests)
//   ONLY=heap node bench/page.mjs        the memory of the page after it has scrolled from the end to the beginning
//
// A switch is measured in two ways: from the click to the frame in which the end of that thread is in view, by the page's clock with a
// slowed processor, and by the time that the main thread itself works for it, which other work on the machine does not change.
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { chromium } from "playwright-core"
import WebSocket from "ws"
import { Server } from "../tests/e2e/support/node.mjs"
import { heapOf, toBeginning } from "./page-heap.mjs"
import { starts } from "./page-start.mjs"

const MESSAGES = Number(process.env.MESSAGES ?? 100_000)
const RATE = Number(process.env.CPU_RATE ?? 4)
const SWITCHES = Number(process.env.SWITCHES ?? 20)
const STARTS = 7
const ONLY = process.env.ONLY ?? ""
const OTHERS = 4
const LINES = 80

const home = await mkdtemp(join(tmpdir(), "lamplight-bench-"))
const settings = { LIMIT_LOGINS: "0", LIMIT_SENDS: "0", LIMIT_READS: "0", LIMIT_CONVERSATIONS: "0" }
const server = process.env.LAMPLIGHT_URL
  ? { url: process.env.LAMPLIGHT_URL }
  : await new Server(home, settings, []).start()
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"],
})

async function api(token, method, path, body) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" }
  const answer = await fetch(server.url + path, { method, headers, body: body && JSON.stringify(body) })
  const read = await answer.json()
  if (!read.success) throw new Error(`${method} ${path}: ${JSON.stringify(read)}`)
  return read
}

async function person(name) {
  const username = `${name.toLowerCase()}.${Date.now().toString(36)}`
  const body = { username, name, password: "a lamp in the window" }
  return api("", "POST", "/api/auth/register", body)
}

/** Sends over a socket with many in flight. */
function flood({ token }, conversationId, count, text) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(
      `${server.url.replace("http", "ws")}/api/socketio/?EIO=4&transport=websocket`,
    )
    let [next, inFlight] = [0, 0]
    const send = () => {
      while (inFlight < 200 && next < count) {
        const content = text(next)
        next += 1
        inFlight += 1
        const body = { conversationId, content, clientMessageId: crypto.randomUUID() }
        socket.send(`421${JSON.stringify(["send_private_message", body])}`)
      }
      if (inFlight === 0) {
        socket.close()
        resolve()
      }
    }
    socket.onerror = () => reject(new Error("the socket failed"))
    socket.onmessage = ({ data }) => {
      if (data === "2") socket.send("3")
      else if (data.startsWith("0")) socket.send(`40${JSON.stringify({ token })}`)
      else if (data.startsWith("40")) send()
      else if (data.startsWith("43")) {
        inFlight -= 1
        send()
      }
    }
  })
}

const words = "The ferry leaves at nine from the second pier and the tickets are at the desk beside it".split(
  " ",
)
const line = (n) => words.slice(0, 1 + ((n * 7) % words.length)).join(" ")

const quantile = (all, part) =>
  [...all].sort((a, b) => a - b)[Math.min(all.length - 1, Math.floor(all.length * part))]
function report(what, all) {
  const ms = (value) => `${Math.round(value)} ms`
  console.log(
    `${what}: least ${ms(Math.min(...all))}, median ${ms(quantile(all, 0.5))}, p90 ${ms(quantile(all, 0.9))}, most ${ms(Math.max(...all))} (${all.length})`,
  )
}

async function signIn(who) {
  const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1360, height: 860 } })
  await context.addCookies([{ name: "lamplight_session", value: who.token, url: server.url }])
  const page = await context.newPage()
  await page.goto(`${server.url}/chat`)
  await page.locator('[data-testid="conversation-item"]').first().waitFor({ timeout: 60_000 })
  return page
}

/** From the click to the frame with the thread's end in view, by the page's clock. */
const switchTo = (page, id, last) =>
  page.evaluate(
    async ([id, last]) => {
      // The conversations are of one length: the row at the end is known by its key.
      const endOf = () => document.querySelector(`[data-testid="message"][data-seq="${last}"]`)?.dataset.key
      const before = endOf()
      const began = performance.now()
      performance.mark(`switch ${id}`)
      document.querySelector(`.row[data-conversation-id="${id}"]`).click()
      const there = () => {
        const log = document.querySelector('[data-testid="log"]')?.getBoundingClientRect()
        const row = document
          .querySelector(`[data-testid="message"][data-seq="${last}"]`)
          ?.getBoundingClientRect()
        return endOf() !== before && log && row && row.bottom <= log.bottom + 1 && row.top >= log.top
      }
      while (!there() && performance.now() - began < 20_000)
        await new Promise((done) => requestAnimationFrame(done))
      // The frame is painted before the next task after its callbacks.
      await new Promise((done) => {
        const { port1, port2 } = new MessageChannel()
        port1.onmessage = done
        requestAnimationFrame(() => port2.postMessage(null))
      })
      return performance.now() - began
    },
    [id, last],
  )

async function switches(asha) {
  const ids = []
  for (let n = 0; n < OTHERS; n++) {
    const { other, id } = await conversationWith(asha, `Other${n}`)
    ids.push(id)
    await flood(other, id, LINES / 2, line)
    await flood(asha, id, LINES / 2, (i) => `mine ${line(i)}`)
  }
  const page = await signIn(asha)
  const heads = new Map(
    (await api(asha.token, "GET", "/api/privatechat/conversations")).data.map((one) => [one.id, one.headSeq]),
  )
  const cdp = await page.context().newCDPSession(page)
  for (const id of ids) await switchTo(page, id, heads.get(id))
  // The main thread's own time, which other work on the machine does not change.
  await cdp.send("Performance.enable", { timeDomain: "threadTicks" })
  const busy = []
  const work = async () =>
    (await cdp.send("Performance.getMetrics")).metrics.find(({ name }) => name === "TaskDuration").value *
    1_000
  for (let n = 0; n < SWITCHES; n++) {
    const id = ids[n % ids.length]
    await page.waitForTimeout(300)
    const before = await work()
    await switchTo(page, id, heads.get(id))
    busy.push((await work()) - before)
  }
  report("work of the main thread in a switch, full speed", busy)
  await cdp.send("Performance.disable")
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: RATE })
  const took = []
  for (let n = 0; n < SWITCHES; n++) {
    const id = ids[n % ids.length]
    await page.waitForTimeout(300)
    took.push(await switchTo(page, id, heads.get(id)))
  }
  report(`switch of conversation, processor ${RATE} times slower`, took)
  if (process.env.PROFILE) await profile(cdp, () => switchTo(page, ids[1], heads.get(ids[1])))
  await page.context().close()
}

/** The work of the main thread in one switch. */
async function profile(cdp, act) {
  await cdp.send("Profiler.enable")
  await cdp.send("Profiler.setSamplingInterval", { interval: 200 })
  await cdp.send("Profiler.start")
  await cdp.send("Performance.enable")
  const before = (await cdp.send("Performance.getMetrics")).metrics
  await act()
  const after = (await cdp.send("Performance.getMetrics")).metrics
  const { profile } = await cdp.send("Profiler.stop")
  for (const { name, value } of after) {
    const by = value - before.find((one) => one.name === name).value
    if (/Duration|Count$|Nodes/.test(name) && by) console.log(`  ${name} ${by.toFixed(4)}`)
  }
  const self = new Map()
  const byId = new Map(profile.nodes.map((node) => [node.id, node]))
  profile.samples.forEach((id, at) => {
    const { functionName, url, lineNumber, columnNumber } = byId.get(id).callFrame
    const name = `${functionName || "(anonymous)"} ${url.split("/").at(-1)}:${lineNumber}:${columnNumber}`
    self.set(name, (self.get(name) ?? 0) + profile.timeDeltas[at] / 1_000)
  })
  for (const [name, ms] of [...self].sort((a, b) => b[1] - a[1]).slice(0, 25))
    console.log(`  ${ms.toFixed(1)} ms ${name}`)
}

/** From an act to the frame in which a message is in view. */
const until = (page, began, seq) =>
  page.evaluate(
    async ([began, seq]) => {
      const there = () => {
        const log = document.querySelector('[data-testid="log"]')?.getBoundingClientRect()
        const row = document
          .querySelector(`[data-testid="message"][data-seq="${seq}"]`)
          ?.getBoundingClientRect()
        return log && row && row.bottom <= log.bottom && row.top >= log.top
      }
      while (!there() && performance.now() - began < 20_000)
        await new Promise((done) => requestAnimationFrame(done))
      return there() ? performance.now() - began : Number.POSITIVE_INFINITY
    },
    [began, seq],
  )

/** A conversation with somebody else. */
async function conversationWith(asha, name) {
  const other = await person(name)
  const { conversation } = await api(other.token, "POST", "/api/privatechat/conversations", {
    userId: asha.user.id,
  })
  return { other, id: conversation.id }
}

/** A person with a few conversations opens the page for the first time. */
async function start(asha) {
  for (let n = 0; n < OTHERS; n++) {
    const { other, id } = await conversationWith(asha, `Start${n}`)
    await flood(other, id, LINES, line)
  }
  await starts(browser, server.url, asha.token, RATE, STARTS, report)
}

async function heap(asha) {
  const { other, id } = await conversationWith(asha, "Dora")
  for (let sent = 0; sent < MESSAGES; sent += 2_000) {
    await flood(other, id, 1_000, line)
    await flood(asha, id, 1_000, line)
  }
  const page = await signIn(asha)
  const cdp = await page.context().newCDPSession(page)
  await page.locator(`.row[data-conversation-id="${id}"]`).click()
  await page.locator('[data-testid="message"]').last().waitFor()
  await page.waitForTimeout(1_000)
  const say = ({ megabytes, nodes }) => `${megabytes.toFixed(1)} MB, ${nodes} nodes`
  console.log(`heap at the end of ${MESSAGES} messages: ${say(await heapOf(cdp))}`)
  const rows = await toBeginning(page)
  console.log(`after scrolling to the beginning, ${rows} rows mounted at most: ${say(await heapOf(cdp))}`)
  await page.context().close()
}

async function jumps(asha) {
  const { other: ben, id } = await conversationWith(asha, "Ben")
  const rare = new Map([
    [Math.floor(MESSAGES / 3), "zwetschgenkuchen"],
    [Math.floor(MESSAGES / 2), "rhabarberkompott"],
  ])
  console.time("fill")
  await flood(ben, id, MESSAGES, (n) => `${line(n)} ${rare.get(n) ?? ""}`)
  console.timeEnd("fill")
  const find = async (word) => {
    for (;;) {
      const { data } = await api(asha.token, "GET", `/api/privatechat/search?query=${word}`)
      if (data[0]) return data[0].message
      await new Promise((done) => setTimeout(done, 500))
    }
  }
  const [hit, old] = [await find("zwetschgenkuchen"), await find("rhabarberkompott")]
  await api(ben.token, "POST", "/api/privatechat/message", {
    conversationId: id,
    content: "an answer to that",
    replyTo: old.id,
  })
  await api(asha.token, "PUT", `/api/privatechat/messages/${id}/${hit.id}/pin`, {})
  const page = await signIn(asha)
  const now = () => page.evaluate(() => performance.now())
  const open = async () => {
    await page.evaluate(() => {
      location.hash = "#/"
    })
    await page.reload()
    await page.locator(`.row[data-conversation-id="${id}"]`).click()
    await page.locator('[data-testid="message"]').last().waitFor()
    await page.waitForTimeout(500)
  }
  const measure = async (what, act, seq, times = 5) => {
    const took = []
    for (let n = 0; n < times; n++) {
      await open()
      const { readSeq } = (await api(asha.token, "GET", "/api/privatechat/conversations")).data.find(
        (one) => one.id === id,
      )
      // What came into view the time before has been read.
      const first = readSeq + 1
      const ready = await act(page)
      const began = await now()
      await ready()
      took.push(await until(page, began, seq ?? first))
    }
    report(what, took)
    return took
  }
  await measure("first unread", async () => () => page.locator('[data-testid="to-unread"]').click())
  await api(asha.token, "POST", `/api/privatechat/conversations/${id}/read`, { seq: MESSAGES + 2 })
  await measure(
    "hit of a search",
    async () => {
      await page.locator('[data-testid="search"]').fill("zwetschgen")
      const found = page.locator('[data-testid="hit"]').first()
      await found.waitFor()
      return () => found.click()
    },
    hit.seq,
  )
  await measure(
    "quote",
    async () => {
      const quote = page.locator(".quote").last()
      await quote.waitFor()
      return () => quote.click()
    },
    old.seq,
  )
  await measure(
    "pinned message",
    async () => {
      await page.locator('[data-testid="pins"]').click()
      const pin = page.locator('[data-testid="pinned-message"]').first()
      await pin.waitFor()
      return () => pin.click()
    },
    hit.seq,
  )
  await measure(
    "date",
    async () => {
      await page.locator('[data-testid="thread-menu"]').click()
      await page.getByRole("menuitem", { name: "Jump to a date" }).click()
      const first = page.getByRole("button", { name: "The beginning" })
      await first.waitFor()
      return () => first.click()
    },
    1,
  )
  await measure(
    "permalink from another page",
    async () => async () => {
      await page.evaluate((to) => {
        location.hash = to
      }, `#/c/${id}/${old.seq}`)
    },
    old.seq,
  )
  await page.context().close()
}

try {
  const asha = await person("Asha")
  const all = { start, switches, heap, jumps }
  for (const [name, measure] of Object.entries(all)) if (!ONLY || ONLY === name) await measure(asha)
} finally {
  await browser.close()
  await server.kill?.()
  await rm(home, { recursive: true, force: true })
}
