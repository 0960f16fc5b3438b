import type { Browser, Worker } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { words } from "../src/strings"
import { violations } from "./axe"
import { forbidReads, shownNotifications } from "./notifications"
import { canRun, closeOthers, launch, Person, Server, until } from "./world"

const allow = { serviceWorkers: "allow" as const, permissions: ["notifications"] }

let serial = 0
/** The payload of a push. */
const push = (conversationId: string, more: object = {}) => {
  serial += 1
  return {
    v: 1,
    kind: "message",
    conversationId,
    messageId: `m-${serial}`,
    seq: serial,
    senderId: "b",
    senderName: "Ben",
    text: `text ${serial}`,
    createdAt: new Date().toISOString(),
    unread: 1,
    ...more,
  }
}

describe.skipIf(!canRun)("notifications of the service worker", () => {
  let browser: Browser
  const server = new Server()
  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
  })
  afterEach(() => closeOthers(browser))
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  /** A user with a device that gets notifications. */
  async function device(name: string) {
    const options = { ...allow, bypassCSP: true }
    const person = await (await Person.arrive(browser, server, name, options, forbidReads)).signUp()
    const { page, context } = person
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null)
    const worker = context.serviceWorkers()[0] as Worker
    const devtools = await context.newCDPSession(page)
    const registered = new Promise<string>((resolve) =>
      devtools.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
        if (registrations[0]) resolve(registrations[0].registrationId)
      }),
    )
    await devtools.send("ServiceWorker.enable")
    const registrationId = await registered
    const userId = await person.userId()
    // A push is handled when the promise of its event has resolved.
    await worker.evaluate(() => {
      const scope = globalThis as unknown as ServiceWorkerScope
      scope.pushes = 0
      const { waitUntil } = scope.ExtendableEvent.prototype
      scope.ExtendableEvent.prototype.waitUntil = function (promise) {
        const count = () => {
          scope.pushes += 1
          scope.onPush?.()
        }
        if (this.type === "push") void promise.then(count, count)
        waitUntil.call(this, promise)
      }
    })
    let pushes = 0
    const deliver = async (data: object) => {
      pushes += 1
      const wanted = pushes
      await devtools.send("ServiceWorker.deliverPushMessage", {
        origin: server.url,
        registrationId,
        data: JSON.stringify(data),
      })
      await worker.evaluate((count) => {
        const scope = globalThis as unknown as ServiceWorkerScope
        return new Promise<void>((resolve) => {
          const { onPush } = scope
          scope.onPush = () => {
            onPush?.()
            if (scope.pushes >= count) resolve()
          }
          scope.onPush()
        })
      }, wanted)
    }
    const tell = (message: object) =>
      page.evaluate(async (one) => (await navigator.serviceWorker.ready).active?.postMessage(one), message)
    // As far as the page knows, pushes are on. At its start it closes once what is not unread, such as this one, which no other page closes.
    await page.evaluate((id) => localStorage.setItem("lamplight:push", `on ${id}`), userId)
    await page.goto(`${server.url}/healthz`)
    await worker.evaluate(() => {
      const { registration } = globalThis as unknown as ServiceWorkerScope
      return registration.showNotification("of an earlier page", { tag: "earlier" })
    })
    await page.goto(`${server.url}/chat`)
    await expect.poll(() => shown(person)).toEqual([])
    await tell({ type: "owner", owner: { userId, hasCookie: true, content: true } })
    await shown(person)
    return { person, worker, tell, deliver }
  }

  const shown = ({ page }: Person) => shownNotifications(page)

  it("each conversation has one notification with its newest messages and their number, and a repeated push adds nothing", async () => {
    const { person, deliver } = await device("Asha")
    const first = push("c1", { text: "hello" })
    await deliver(first)
    await expect.poll(() => shown(person)).toEqual([{ title: "Ben", body: "hello", tag: "c1", count: 1 }])
    await deliver(first)
    await deliver(push("c1", { text: "are you\nthere?" }))
    await deliver(first)
    const picture = { type: "image/png", name: "cat.png" }
    await deliver(push("c2", { conversationName: "Choir", text: "", attachment: picture }))
    await expect
      .poll(() => shown(person))
      .toEqual([
        { title: "Ben: 2 new messages", body: "are you there?\nhello", tag: "c1", count: 2 },
        { title: "Choir", body: "\u2068Ben\u2069: Photo", tag: "c2", count: 1 },
      ])
    await Promise.all(Array.from({ length: 6 }, () => deliver(first)))
    for (let n = 0; n < 4; n += 1) await deliver(push("c1", { text: `more ${n}` }))
    await expect
      .poll(async () => (await shown(person))[0])
      .toEqual({ title: "Ben: 6 new messages", body: "more 3\nmore 2\nmore 1\nmore 0", tag: "c1", count: 6 })
  })

  it("reading a message closes its notification, and notifications shown meanwhile stay", async () => {
    const { person, tell, deliver } = await device("Asha")
    const older = push("c1")
    const newer = push("c1")
    const close = (upTo: number) => tell({ type: "close", read: [{ conversationId: "c1", upTo }] })
    await deliver(older)
    await deliver(newer)
    await close(older.seq)
    expect((await shown(person)).map(({ tag }) => tag)).toEqual(["c1"])
    const others = Array.from({ length: 20 }, (_, at) => `other-${String(at).padStart(2, "0")}`)
    await Promise.all(others.flatMap((id) => [deliver(push(id)), close(newer.seq)]))
    expect((await shown(person)).map(({ tag }) => tag)).toEqual(others)
  })

  it("without content a notification shows neither text nor sender, and an unknown push shows a general text", async () => {
    const { person, deliver } = await device("Asha")
    const { senderName: _, text: __, ...ids } = push("c1")
    await deliver(ids)
    await expect
      .poll(() => shown(person))
      .toEqual([{ title: "Lamplight", body: "1 new message", tag: "c1", count: 1 }])
    await deliver({ v: 2, kind: "call" })
    await expect.poll(async () => (await shown(person)).length).toBe(2)
  })

  it("the visible conversation has no notification, and reading closes existing ones", async () => {
    const { person: asha, deliver } = await device("Asha")
    const ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await ben.open(asha)
    await ben.say("one")
    await ben.message("one").waitFor()
    const id = await ben.conversationId()
    const row = asha.page.locator(`.row[data-conversation-id="${id}"]`)
    await expect.poll(() => row.getAttribute("data-unread")).toBe("1")
    await deliver(push(id, { seq: 1 }))
    await expect.poll(async () => (await shown(asha)).map(({ tag }) => tag)).toEqual([id])
    // Opening a page closes notifications without a conversation, and leaves those of unread messages.
    await deliver({ v: 2, kind: "call" })
    await expect.poll(async () => (await shown(asha)).length).toBe(2)
    await asha.page.reload()
    await expect.poll(async () => (await shown(asha)).map(({ tag }) => tag)).toEqual([id])
    await row.click()
    await asha.message("one").waitFor()
    await expect.poll(async () => (await shown(asha)).length).toBe(0)
    await deliver(push(id, { seq: 1 }))
    // A marker: a later notification is shown.
    await deliver(push("c9"))
    await expect.poll(async () => (await shown(asha)).map(({ tag }) => tag)).toEqual(["c9"])
    expect(asha.complaints.filter((text) => text.includes("The page asks"))).toEqual([])
  })

  it("pressing a notification opens the message in the open window or a new one", async () => {
    const { person: asha, worker, deliver } = await device("Asha")
    const ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await ben.open(asha)
    await ben.say("come and see")
    await ben.message("come and see").waitFor()
    const id = await ben.conversationId()
    const seq = Number(await ben.message("come and see").getAttribute("data-seq"))
    /** As the browser does; it lets a test neither press nor open windows. */
    const press = () =>
      worker.evaluate(async () => {
        const scope = globalThis as unknown as ServiceWorkerScope
        const [notification] = await scope.registration.getNotifications()
        const opened: string[] = []
        scope.clients.openWindow = async (url) => {
          opened.push(url)
          return null
        }
        const { NotificationEvent } = scope
        const event = new NotificationEvent("notificationclick", { notification })
        const waits: Promise<unknown>[] = []
        event.waitUntil = (promise) => void waits.push(promise)
        scope.dispatchEvent(event)
        await Promise.all(waits)
        return opened
      })
    await deliver(push(id, { seq }))
    await expect.poll(async () => (await shown(asha)).length).toBe(1)
    expect(await press()).toEqual([])
    await asha.message("come and see").waitFor()
    expect(await asha.conversationId()).toContain(id)
    await expect.poll(async () => (await shown(asha)).length).toBe(0)

    await asha.page.evaluate(() => {
      location.hash = "#/"
    })
    await deliver(push(id, { seq }))
    await expect.poll(async () => (await shown(asha)).length).toBe(1)
    // Away from the page, which the worker outlives.
    await asha.page.goto(`${server.url}/healthz`)
    expect(await press()).toEqual([`/chat#/c/${id}/${seq}`])
  })

  it("a subscription that the browser ended is renewed with the server's key and registered", async () => {
    const { worker } = await device("Asha")
    const before = "https://push.example/before"
    const { key, requests } = await worker.evaluate(async (endpoint) => {
      const scope = self as unknown as ServiceWorkerScope
      const text = (bytes: ArrayBuffer | Uint8Array) =>
        btoa(String.fromCharCode(...new Uint8Array(bytes)))
          .replaceAll("+", "-")
          .replaceAll("/", "_")
          .replaceAll("=", "")
      const pair = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, true, [
        "deriveBits",
      ])
      const p256dh = text(await crypto.subtle.exportKey("raw", pair.publicKey))
      const auth = text(crypto.getRandomValues(new Uint8Array(16)))
      let key = ""
      // The browser's part, which a test has not: one subscription, for the key of another server.
      const subscription = (url: string, own: ArrayBuffer) => ({
        endpoint: url,
        options: { applicationServerKey: own, userVisibleOnly: true },
        toJSON: () => ({ endpoint: url, keys: { p256dh, auth } }),
        unsubscribe: async () => {
          there = null
          return true
        },
      })
      let there: ReturnType<typeof subscription> | null = subscription(endpoint, new Uint8Array(65).buffer)
      Object.assign(PushManager.prototype, {
        async subscribe({ applicationServerKey }: { applicationServerKey: Uint8Array<ArrayBuffer> }) {
          if (there) throw new DOMException("There is one already.", "InvalidStateError")
          key = text(applicationServerKey)
          there = subscription("https://push.example/after", applicationServerKey.buffer)
          return there
        },
        getSubscription: async () => there,
      })
      const requests: { method: string; path: string; body: object | null; status: number }[] = []
      const { fetch } = scope
      scope.fetch = async (path, init) => {
        const response = await fetch(path, init)
        const body = typeof init?.body === "string" ? JSON.parse(init.body) : null
        requests.push({ method: init?.method ?? "GET", path: String(path), body, status: response.status })
        return response
      }
      const waits: Promise<unknown>[] = []
      const event = Object.assign(new Event("pushsubscriptionchange"), {
        oldSubscription: there,
        newSubscription: null,
        waitUntil: (promise: Promise<unknown>) => void waits.push(promise),
      })
      scope.dispatchEvent(event)
      await Promise.all(waits)
      scope.fetch = fetch
      return { key, requests }
    }, before)
    expect(key.length).toBe(87)
    const after = { endpoint: "https://push.example/after", content: true, key }
    expect(requests).toEqual([
      { method: "GET", path: "/api/push/key", body: null, status: 200 },
      {
        method: "POST",
        path: "/api/push/subscriptions",
        body: expect.objectContaining(after),
        status: 200,
      },
      { method: "DELETE", path: "/api/push/subscriptions", body: { endpoint: before }, status: 200 },
    ])
  })

  it("notifications of a former user are shown neither after signing out nor to the next user", async () => {
    const { person, tell, deliver } = await device("Asha")
    await deliver(push("c1"))
    await expect.poll(async () => (await shown(person)).length).toBe(1)
    await person.page.locator('[data-testid="status-menu"]:visible').click()
    await person.on("sign-out").click()
    await person.on("signin-form").waitFor()
    await expect.poll(async () => (await shown(person)).length).toBe(0)
    await deliver(push("c1"))
    // A marker: the next user's own notification is shown.
    await tell({ type: "owner", owner: { userId: "x", hasCookie: true, content: true } })
    await deliver(push("c2"))
    await expect.poll(async () => (await shown(person)).map(({ tag }) => tag)).toEqual(["c2"])
  })
})

/** A replacement for the browser's push API, which tests lack: its subscription survives a reload. */
function subscriptions() {
  const endpoint = () => localStorage.getItem("test:endpoint")
  const subscription = (url: string) => ({
    endpoint: url,
    options: { applicationServerKey: null, userVisibleOnly: true },
    toJSON: () => ({ endpoint: url, keys: { p256dh: "p", auth: "a" } }),
    unsubscribe: async () => {
      localStorage.removeItem("test:endpoint")
      return true
    },
  })
  Object.assign(PushManager.prototype, {
    async subscribe() {
      const url = endpoint() ?? `https://push.example/${crypto.randomUUID()}`
      localStorage.setItem("test:endpoint", url)
      return subscription(url)
    },
    async getSubscription() {
      const url = endpoint()
      return url ? subscription(url) : null
    },
  })
}

interface ServiceWorkerScope extends EventTarget {
  /** The number of pushes that the worker has handled. */
  pushes: number
  onPush?: () => void
  ExtendableEvent: { prototype: Event & { waitUntil(promise: Promise<unknown>): void } }
  fetch: typeof fetch
  registration: {
    getNotifications(): Promise<Notification[]>
    showNotification(title: string, options: NotificationOptions): Promise<void>
  }
  clients: { openWindow(url: string): Promise<null> }
  NotificationEvent: new (
    type: string,
    init: object,
  ) => Event & { waitUntil(promise: Promise<unknown>): void }
}

describe.skipIf(!canRun)("notifications on this device", () => {
  let browser: Browser
  const server = new Server()
  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
  })
  afterEach(() => closeOthers(browser))
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  /** The server's part, as the page sees it. */
  async function arrive(name: string, key: string | null, permissions: string[] = ["notifications"]) {
    const asked: { method: string; body: { endpoint: string; content?: boolean; key?: string } }[] = []
    const options = { ...allow, permissions, bypassCSP: true }
    const person = await Person.arrive(browser, server, name, options, subscriptions)
    await person.page.route("**/api/push/key", (route) =>
      key === null
        ? route.fulfill({ status: 404, json: { success: false, error: "Off.", code: "not_found" } })
        : route.fulfill({ json: { success: true, key } }),
    )
    await person.page.route("**/api/push/subscriptions", async (route) => {
      asked.push({ method: route.request().method(), body: route.request().postDataJSON() })
      await route.fulfill({ json: { success: true } })
    })
    await person.signUp()
    await person.page.waitForFunction(() => navigator.serviceWorker.controller !== null)
    return { person, asked }
  }
  const isPressed = (person: Person, choice: string) =>
    expect.poll(() => person.on(`notices-${choice}`).getAttribute("aria-pressed")).toBe("true")
  const KEY = "BEl62iUYgUivxIkv69yViEuiBIa-Ib9-SkvMeAtA3LFgDzkrxZJjSgSnfckjBJuBkr3qBUYIHBQFLXYp5Nksh8U"

  it("push starts off, and turning it on, hiding the text and turning it off update the server", async () => {
    const { person, asked } = await arrive("Asha", KEY)
    await person.openSettings()
    await isPressed(person, "off")
    expect(asked).toEqual([])
    await person.on("notices-on").click()
    await isPressed(person, "on")
    await person.on("notices-private").click()
    await isPressed(person, "private")
    expect(asked.map(({ method, body }) => [method, body.content])).toEqual([
      ["POST", true],
      ["POST", false],
    ])
    expect(new Set(asked.map(({ body }) => body.key))).toEqual(new Set([KEY]))
    expect(await violations(person.page)).toEqual([])
    // After a reload the page registers the subscription again: the server may have lost it.
    await person.page.reload()
    await person.openSettings()
    await isPressed(person, "private")
    await until(() => asked.length === 3)
    await person.on("notices-off").click()
    await isPressed(person, "off")
    expect(asked.slice(2).map(({ method }) => method)).toEqual(["POST", "DELETE"])
    expect(new Set(asked.map(({ body }) => body.endpoint)).size).toBe(1)
    expect(person.complaints).toEqual([])
  })

  it("push ends when the user signs out, and does not carry over to the next user", async () => {
    const { person } = await arrive("Asha", KEY)
    const endpoint = () => person.page.evaluate(() => localStorage.getItem("test:endpoint"))
    await person.openSettings()
    await person.on("notices-on").click()
    await isPressed(person, "on")
    expect(await endpoint()).not.toBeNull()
    await person.page.keyboard.press("Escape")
    await person.page.locator('[data-testid="status-menu"]:visible').click()
    await person.on("sign-out").click()
    await person.on("signin-form").waitFor()
    await expect.poll(endpoint).toBeNull()
    await person.signIn()
    await person.openSettings()
    await isPressed(person, "off")
    await person.on("notices-on").click()
    await isPressed(person, "on")

    // The session was replaced by another user's, without a sign-out.
    const ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await person.context.clearCookies()
    await person.context.addCookies(await ben.context.cookies())
    await person.page.reload()
    await expect.poll(endpoint).toBeNull()
    await person.openSettings()
    await isPressed(person, "off")
  })

  it("the settings explain why notifications are unavailable", async () => {
    const off = await arrive("Asha", null)
    await off.person.openSettings()
    await expect.poll(() => off.person.on("notices-note").textContent()).toContain("this server sends none")
    // Only an open page notifies then: a switch, in place of the choices.
    await off.person.page.getByRole("checkbox", { name: words.status.notifications, exact: true }).waitFor()
    expect(await off.person.on("notices-on").count()).toBe(0)
    expect(await violations(off.person.page)).toEqual([])

    const denied = await arrive("Ben", KEY)
    await denied.person.page.evaluate(() =>
      Object.defineProperty(Notification, "permission", { get: () => "denied" }),
    )
    await denied.person.openSettings()
    await expect.poll(() => denied.person.on("notices-note").textContent()).toContain("blocks notifications")
    expect(await denied.person.on("notices-on").getAttribute("aria-disabled")).toBe("true")
    await denied.person.on("notices-on").click({ force: true })
    expect(denied.asked).toEqual([])
  })
})
