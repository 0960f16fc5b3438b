// How soon the page can be used on a mid-range phone over 4G; part of bench/page.mjs.

/** WebPageTest's profile "4G": 9 Mbit/s each way, 170 ms there and back. */
const MEGABITS = 9
const ROUND_TRIP_MS = 170

const bytesASecond = (MEGABITS * 1_000_000) / 8

/** The first usable element: the field of the sign-in form, or the first conversation. */
const READY = {
  "sign-in, first visit": 'input[autocomplete~="username"]',
  "signed in, first visit": '[data-testid="conversation-item"]',
}

/** Milliseconds from the start of the navigation to the first frame with that element in which the main thread is free. */
const usable = (page, selector) =>
  page.evaluate(async (selector) => {
    const next = () => new Promise((done) => requestAnimationFrame(done))
    while (!document.querySelector(selector)) await next()
    await next()
    await new Promise((done) => setTimeout(done))
    return performance.now()
  }, selector)

async function open(browser, url, what, token, rate, profile) {
  const context = await browser.newContext({
    locale: "en-GB",
    viewport: { width: 390, height: 844 },
    isMobile: true,
    hasTouch: true,
    serviceWorkers: "block",
  })
  try {
    if (token) await context.addCookies([{ name: "lamplight_session", value: token, url }])
    const page = await context.newPage()
    const cdp = await context.newCDPSession(page)
    await cdp.send("Network.enable")
    await cdp.send("Network.emulateNetworkConditions", {
      offline: false,
      latency: ROUND_TRIP_MS,
      downloadThroughput: bytesASecond,
      uploadThroughput: bytesASecond,
    })
    await cdp.send("Emulation.setCPUThrottlingRate", { rate })
    await page.goto(`${url}/chat`, { waitUntil: "commit" })
    const took = await usable(page, READY[what])
    if (profile) await requests(page, what)
    return took
  } finally {
    await context.close()
  }
}

/** Says when each request began and ended. */
async function requests(page, what) {
  const all = await page.evaluate(() =>
    [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].map(
      (one) => [
        Math.round(one.startTime),
        Math.round(one.responseStart),
        Math.round(one.responseEnd),
        one.transferSize,
        one.name.split("/").slice(3).join("/"),
      ],
    ),
  )
  console.log(what)
  for (const [start, first, end, size, name] of all)
    console.log(`  ${start} → ${first} → ${end} ms, ${size} bytes: ${name}`)
}

/** Each case several times, each in a new profile: nothing is in a cache. */
export async function starts(browser, url, token, rate, times, report) {
  for (const what of Object.keys(READY)) {
    const took = []
    for (let n = 0; n < times; n++)
      took.push(
        await open(
          browser,
          url,
          what,
          what.startsWith("signed") ? token : undefined,
          rate,
          n === 0 && process.env.PROFILE,
        ),
      )
    report(`usable, ${what}, ${MEGABITS} Mbit/s, processor ${rate} times slower`, took)
  }
}
