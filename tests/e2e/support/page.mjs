// Users of the real page, each with a browser context of their own.
import { until } from "./wait.mjs"

const PASSWORD = "a lamp in the window"
let serial = 0

export class Reader {
  /** Errors of the page itself. */
  faults = []

  /** @param {import("playwright-core").Browser} browser @param {import("./server.mjs").Server} server */
  static async arrive(browser, server, name, options = {}) {
    const reader = new Reader()
    reader.server = server
    reader.name = `${name} ${++serial}`
    reader.username = `${name}.${process.pid}.${serial}`.toLowerCase()
    reader.context = await browser.newContext({ viewport: { width: 1_360, height: 860 }, ...options })
    await reader.open()
    return reader
  }

  /** Opens a tab. */
  async open() {
    this.page = await this.context.newPage()
    this.page.on("pageerror", (error) => this.faults.push(error.message))
    await this.page.goto(`${this.server.url}/chat`)
    return this
  }

  async signUp() {
    await this.at("signin-switch").click()
    await this.page.locator("[name=username]").fill(this.username)
    await this.page.locator("[name=name]").fill(this.name)
    await this.page.locator("[name=password]").fill(PASSWORD)
    await this.at("signin-submit").click()
    await this.inside()
    return this
  }

  async signIn() {
    await this.page.locator("[name=username]").fill(this.username)
    await this.page.locator("[name=password]").fill(PASSWORD)
    await this.at("signin-submit").click()
    await this.inside()
  }

  inside() {
    return this.page.locator('[data-testid="status-menu"]:visible').waitFor()
  }

  at(testId) {
    return this.page.locator(`[data-testid="${testId}"]`)
  }

  /** The row of an online user. */
  person(other) {
    return this.at("online-user").filter({ hasText: other.name })
  }

  async write(other) {
    await this.person(other).first().click()
    // Another conversation's field may be there still, and would take what is written.
    await this.at("thread-name").filter({ hasText: other.name }).waitFor()
    await this.at("composer").waitFor()
  }

  /** The conversation with a user, in the list. */
  row(other) {
    return this.at("conversation-item").filter({ hasText: other.name })
  }

  async say(text) {
    await this.at("composer").fill(text)
    await this.at("composer").press("Enter")
  }

  message(text) {
    return this.at("message").filter({ hasText: text })
  }

  /** The texts of the thread that are in the document, in order. */
  texts() {
    return this.at("message").locator("[data-content]").allInnerTexts()
  }

  async state(text) {
    return this.message(text).first().getAttribute("data-state")
  }

  sent(text, limit = 20_000) {
    return until(async () => (await this.state(text)) === "sent", `"${text}" is sent`, limit)
  }

  /** Blocks requests to these addresses, or with `null` none. Includes WebSockets of the socket's path. */
  async refuse(pattern) {
    this.refused = pattern
    if (this.routed) return
    this.routed = true
    await this.page.route("**/api/**", (route) =>
      this.refused?.test(route.request().url()) ? route.abort() : route.continue(),
    )
    await this.page.routeWebSocket(/\/api\/socketio/, (socket) => {
      if (this.refused?.test(socket.url())) socket.close()
      else {
        const server = socket.connectToServer()
        this.sockets = [...(this.sockets ?? []), { socket, server }]
      }
    })
  }

  /** Closes the open sockets. */
  cut() {
    for (const { socket, server } of this.sockets ?? []) {
      server.close()
      socket.close()
    }
    this.sockets = []
  }

  close() {
    return this.context.close()
  }
}

/** The time from the start of `act` until `seen` resolved. */
export async function timed(seen, act) {
  const began = performance.now()
  const both = seen.then(() => performance.now() - began)
  await act()
  return both
}

export const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]
