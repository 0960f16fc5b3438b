import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core"
import { afterEach } from "vitest"
import { launchChromium } from "../../../tests/e2e/support/chromium.mjs"
import { storedDrafts } from "../../../tests/e2e/support/drafts.mjs"
import { Server } from "./server"

export { canRun, canStart, isCluster, oneNodeOnly, Server } from "./server"

/** How long a loaded machine may take for what a test waits for. A test that passes does not wait as long. */
export const PATIENCE_MS = 20_000

/** Waits for something to become true, looking often. `expect.poll` does it for a value. */
export async function until(look: () => Promise<boolean> | boolean, within = PATIENCE_MS): Promise<void> {
  const end = Date.now() + within
  while (!(await look())) {
    if (Date.now() > end) throw new Error(`This did not come true within ${within} ms: ${look}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

/** Waits until the page has drawn some frames. */
export function frames(page: Page, count = 4): Promise<void> {
  return page.evaluate(async (left) => {
    for (let n = 0; n < left; n += 1) await new Promise(requestAnimationFrame)
  }, count)
}

/** Waits until `look` returns the same over some frames, and returns it: what moves or is laid out has come to rest. */
export async function settled<T>(page: Page, look: () => Promise<T>): Promise<T> {
  let found = await look()
  let same = 0
  await until(async () => {
    await frames(page)
    const now = await look()
    same = JSON.stringify(now) === JSON.stringify(found) ? same + 1 : 0
    found = now
    return same >= 4
  })
  return found
}

/** Waits until every animation and transition of the page that has an end is over. */
export async function animationsEnd(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const ends = document.getAnimations().map((animation) => {
      const isEndless = animation.effect?.getComputedTiming().endTime === Number.POSITIVE_INFINITY
      return isEndless || animation.playState === "paused" ? null : animation.finished.catch(() => null)
    })
    await Promise.all(ends)
  })
}

/** The shortest of some attempts, up to the first within the limit: load makes some of them slow, slow code all. */
export async function fastest(limit: number, measure: () => Promise<number>, attempts = 5): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  for (let n = 0; n < attempts && best >= limit; n += 1) best = Math.min(best, await measure())
  return best
}

/** Resizes the window and waits until the page has drawn it: a busy page sees only the last of several sizes. */
export async function resize(page: Page, width: number, height: number): Promise<void> {
  await page.setViewportSize({ width, height })
  await until(() =>
    page.evaluate(([w, h]) => innerWidth === w && innerHeight === h, [width, height] as const),
  )
  await frames(page)
}

/** Starts servers for one test, which are stopped when it ends, however it ends. */
export function serversOfTest(): (settings?: Record<string, string>) => Promise<Server> {
  const started: Server[] = []
  afterEach(async () => {
    for (const server of started.splice(0)) await server.stop()
  })
  return (settings) => {
    const server = new Server()
    started.push(server)
    return server.start(settings)
  }
}

/** Closes the pages that a test opened and, since it failed, did not close; not those of `kept`. */
export async function closeOthers(
  browser: Browser | undefined,
  ...kept: (Person | undefined)[]
): Promise<void> {
  for (const context of browser?.contexts() ?? [])
    if (!kept.some((person) => person?.context === context)) await context.close()
}

/** Undoes what a failed test may have left on a page that the next one uses. */
export async function restore(person: Person): Promise<void> {
  await person.context.setOffline(false)
  await person.page.unrouteAll({ behavior: "ignoreErrors" })
  const { width, height } = person.viewport
  if (person.page.viewportSize()?.width !== width || person.page.viewportSize()?.height !== height)
    await resize(person.page, width, height)
}

/** Starts a browser with more arguments. */
export function launch(...args: string[]): Promise<Browser> {
  return launchChromium({ args })
}

export const phone: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
}

let serial = 0

/** A user with an account and a separate browser context. */
export class Person {
  /** The errors that the page logged, including policy violations. */
  complaints: string[] = []
  username: string
  /** The size of the window at first. */
  viewport = { width: 1360, height: 860 }
  /** A unique name: a user who has just left stays online for the grace period, and must not be confused with the next one. */
  name: string

  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
    name: string,
  ) {
    serial += 1
    this.name = `${name} ${serial}`
    this.username = `${name.toLowerCase()}.${Date.now().toString(36)}.${serial}`
    page.on("pageerror", (error) => this.complaints.push(error.message))
    page.on("console", (message) => {
      // A refused request is an answer, not a fault of the page.
      if (
        message.type() === "error" &&
        !/Failed to load resource|WebSocket connection/.test(message.text())
      ) {
        this.complaints.push(message.text())
      }
    })
  }

  /** `before` runs in the page ahead of its own script. */
  static async arrive(
    browser: Browser,
    server: { url: string },
    name: string,
    options: BrowserContextOptions = {},
    before?: () => void,
  ) {
    const context = await browser.newContext({
      locale: "en-GB",
      viewport: { width: 1360, height: 860 },
      // A service worker would answer before the tests' own routes do; its own tests allow it.
      serviceWorkers: "block",
      ...options,
    })
    if (before) await context.addInitScript(before)
    const page = await context.newPage()
    const person = new Person(context, page, name)
    person.viewport = options.viewport ?? person.viewport
    await page.goto(`${server.url}/chat`)
    return person
  }

  /** Signs up through the form. */
  async signUp(): Promise<this> {
    await this.on("signin-switch").click()
    await this.page.locator("[name=username]").fill(this.username)
    await this.page.locator("[name=name]").fill(this.name)
    await this.page.locator("[name=password]").fill("a lamp in the window")
    await this.on("signin-submit").click()
    await this.page.locator('[data-testid="status-menu"]:visible').waitFor()
    return this
  }

  /** Fills in the sign-in form, as this person or as another. */
  async signIn(username = this.username): Promise<void> {
    await this.page.locator("[name=username]").fill(username)
    await this.page.locator("[name=password]").fill("a lamp in the window")
    await this.on("signin-submit").click()
    await this.page.locator('[data-testid="status-menu"]:visible').waitFor()
  }

  on(testId: string) {
    return this.page.locator(`[data-testid="${testId}"]`)
  }

  message(text: string) {
    return this.on("message").filter({ hasText: text })
  }

  /** Opens the conversation with an online user. */
  async open(other: Person): Promise<void> {
    const people = this.page.getByRole("button", { name: "People" })
    // The page may be loading.
    await this.on("people-search").or(people).filter({ visible: true }).first().waitFor()
    if (!(await this.on("people-search").isVisible())) await people.click()
    await this.on("online-user").filter({ hasText: other.name }).first().click()
    // Another conversation's field may be there still, and would take what is written.
    await this.on("thread-name").filter({ hasText: other.name }).waitFor()
    await this.on("composer").waitFor()
  }

  /** Opens the settings by the user's menu. On a phone they are part of what it opens. */
  async openSettings(): Promise<void> {
    await this.page.locator('[data-testid="status-menu"]:visible').click()
    const entry = this.on("settings-open")
    await entry.or(this.on("you")).first().waitFor()
    if ((await entry.count()) > 0) await entry.click()
    await this.on("theme-toggle").waitFor()
  }

  async say(text: string): Promise<void> {
    await this.on("composer").fill(text)
    await this.on("composer").press("Enter")
  }

  /** Sends many messages at once over HTTP, in order. */
  async pour(count: number, text: (n: number) => string): Promise<void> {
    await this.page.evaluate(
      async ([id, words]) => {
        for (const content of words) {
          await fetch("/api/privatechat/message", {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ conversationId: id, content, clientMessageId: crypto.randomUUID() }),
          })
        }
      },
      [await this.conversationId(), Array.from({ length: count }, (_, n) => text(n))] as const,
    )
  }

  /** Sends thousands of messages over several separate sockets, each with many in flight. Their order is undefined. */
  async flood(count: number, text: (n: number) => string, sockets = 4): Promise<void> {
    const words = Array.from({ length: count }, (_, n) => text(n))
    await this.page.evaluate(
      async ([id, contents, lines]) => {
        let next = 0
        const line = () =>
          new Promise<void>((resolve, reject) => {
            const socket = new WebSocket(
              `${location.origin.replace("http", "ws")}/api/socketio/?EIO=4&transport=websocket`,
            )
            let inFlight = 0
            const send = () => {
              while (inFlight < 64 && next < contents.length) {
                const content = contents[next]
                const clientMessageId = crypto.randomUUID()
                next += 1
                inFlight += 1
                socket.send(
                  `421${JSON.stringify(["send_private_message", { conversationId: id, content, clientMessageId }])}`,
                )
              }
              if (inFlight === 0) {
                socket.close()
                resolve()
              }
            }
            socket.onerror = () => reject(new Error("the socket failed"))
            socket.onmessage = ({ data }) => {
              if (data === "2") socket.send("3")
              else if (data.startsWith("0")) socket.send("40")
              else if (data.startsWith("40")) send()
              else if (data.startsWith("43")) {
                if (!data.includes('"success":true')) reject(new Error(data))
                inFlight -= 1
                send()
              }
            }
          })
        await Promise.all(Array.from({ length: lines }, line))
      },
      [await this.conversationId(), words, sockets] as const,
    )
  }

  async conversationId(): Promise<string> {
    return this.page.evaluate(() => decodeURIComponent(location.hash.replace("#/c/", "")))
  }

  /** The user's id. */
  async userId(): Promise<string> {
    return this.page.evaluate(async () => (await (await fetch("/api/auth/session")).json()).user.id)
  }

  /** The drafts that the browser has stored, which it does a moment after the typing. */
  storedDrafts(): Promise<string> {
    return storedDrafts(this.page)
  }

  focused(): Promise<string> {
    return this.page.evaluate(() => {
      const element = document.activeElement as HTMLElement | null
      return element?.dataset.testid ?? element?.tagName ?? ""
    })
  }

  close(): Promise<void> {
    return this.context.close()
  }
}
