/** Scripts that are needed soon, though not by the first screen. They load one after another while the page is idle. */

type Load = () => Promise<unknown>

const waiting: Load[] = []
let isAllowed = false
let isRunning = false

/** Safari has no idle callbacks: there a moment has to do. */
const idle = (run: () => void) =>
  typeof requestIdleCallback === "function"
    ? requestIdleCallback(run, { timeout: 2_000 })
    : setTimeout(run, 200)

/** Loads it while the page is idle, once `startPreloading` was called. */
export function loadSoon(load: Load): void {
  waiting.push(load)
  void run()
}

/** The first screen has what it needs. */
export function startPreloading(): void {
  isAllowed = true
  void run()
}

async function run(): Promise<void> {
  if (!isAllowed || isRunning) return
  isRunning = true
  for (let load = waiting[0]; load; load = waiting[0]) {
    await new Promise<void>((resolve) => idle(resolve))
    try {
      await load()
      waiting.shift()
    } catch {
      // Without a network nothing is lost: what is used before is asked for again then.
      await new Promise((resolve) => addEventListener("online", resolve, { once: true }))
    }
  }
  isRunning = false
}
