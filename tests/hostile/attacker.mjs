// The attacking process: runs the case's `attack` for the given time.
import { Agent } from "node:http"
import { ATTACKER, ask, CONNECTIONS, token, wait } from "./harness.mjs"
import { Peer } from "./peer.mjs"

const [name, options] = process.argv.slice(2)
const { url, seconds, given } = JSON.parse(options)
const it = await import(`./cases/${name}.mjs`)
const until = performance.now() + seconds * 1_000
const isOver = () => performance.now() >= until

/** Runs several at once, each repeatedly until the time is over. */
const loop = (count, work) =>
  Promise.all(
    Array.from({ length: count }, async (_, n) => {
      while (!isOver()) {
        const before = performance.now()
        await work(n).catch(() => {})
        // An immediate failure must not become a busy loop.
        if (performance.now() - before < 0.1) await wait(5)
      }
    }),
  )
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS, localAddress: ATTACKER })
const get = (path, how = {}) => ask(url, path, { agent, address: ATTACKER, ...how })
const open = (how) => Peer.open(url, { address: ATTACKER, ...how })

// Requests that still wait at the end do not matter.
const report = await Promise.race([
  it.attack({ url, given, isOver, loop, get, open, token, wait, count: CONNECTIONS, address: ATTACKER }),
  wait(seconds * 1_000 + 1_500).then(() => it.tally?.() ?? null),
])
process.send(report ?? null, () => process.exit(0))
