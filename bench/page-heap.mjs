// The memory of the page after it has scrolled through a whole conversation; part of bench/page.mjs.

/** A page that loads no older messages for this long is stuck. */
const STUCK_MS = 60_000

/** The heap after a garbage collection, in megabytes, and the number of nodes in the document. */
export async function heapOf(cdp) {
  await cdp.send("HeapProfiler.enable")
  // A second collection frees objects that finalizers of the first one released.
  for (let n = 0; n < 2; n++) await cdp.send("HeapProfiler.collectGarbage")
  const { usedSize } = await cdp.send("Runtime.getHeapUsage")
  const { nodes } = await cdp.send("Memory.getDOMCounters")
  return { megabytes: usedSize / 1024 / 1024, nodes }
}

/** Scrolls up to the first message. Returns how many rows were mounted at most. */
export async function toBeginning(page) {
  return page.evaluate(async (stuckMs) => {
    const log = document.querySelector('[data-testid="log"]')
    const firstSeq = () => log.querySelector('[data-testid="message"]')?.dataset.seq
    let [most, last, since] = [0, "", performance.now()]
    while (!log.querySelector(".beginning")) {
      log.scrollTop = 0
      await new Promise((done) => requestAnimationFrame(done))
      most = Math.max(most, log.querySelectorAll(".log-row").length)
      if (firstSeq() !== last) [last, since] = [firstSeq(), performance.now()]
      if (performance.now() - since > stuckMs) throw new Error(`stuck at ${last}`)
    }
    return most
  }, STUCK_MS)
}
