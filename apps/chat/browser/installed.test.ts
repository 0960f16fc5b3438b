import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { Builds } from "./builds"
import { canRun, canStart, launch, Person, phone, Server, serversOfTest, until } from "./world"

const allow = { serviceWorkers: "allow" } as const

/** The worker has the build and answers for this page. */
const controlled = (person: Person) =>
  person.page.waitForFunction(
    () => navigator.serviceWorker.controller !== null && document.readyState === "complete",
  )

/** The cached URLs, by cache. */
const caches_ = (person: Person) =>
  person.page.evaluate(async () => {
    const all: Record<string, string[]> = {}
    for (const name of await caches.keys())
      all[name] = (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname)
    return all
  })

/** Waits until the saved copy of the shown conversation has all of these texts. */
const saved = (person: Person, ...texts: string[]) =>
  until(async () => {
    const all = await person.page.evaluate(async () => {
      if (!(await indexedDB.databases()).some(({ name }) => name === "lamplight-copy")) return ""
      const asked = <T>(request: IDBRequest<T>) =>
        new Promise<T>((resolve, reject) => {
          request.onsuccess = () => resolve(request.result)
          request.onerror = () => reject(request.error)
        })
      const database = await asked(indexedDB.open("lamplight-copy"))
      const threads = await asked(database.transaction("threads").objectStore("threads").getAll())
      database.close()
      return JSON.stringify(threads)
    })
    return texts.every((text) => all.includes(text))
  })

describe.skipIf(!canRun)("F36 the installed page", () => {
  let browser: Browser
  const server = new Server()
  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  it("the browser accepts the manifest, and the icons have the sizes that it names", async () => {
    const asha = await Person.arrive(browser, server, "Asha", allow)
    const devtools = await asha.context.newCDPSession(asha.page)
    const { url, errors, data } = await devtools.send("Page.getAppManifest")
    expect(errors).toEqual([])
    expect(url).toBe(`${server.url}/chat/manifest.webmanifest`)
    const manifest = JSON.parse(data ?? "{}")
    expect([manifest.start_url, manifest.scope, manifest.display]).toEqual(["/chat", "/chat", "standalone"])
    expect(manifest.icons.map((icon: { purpose: string }) => icon.purpose)).toEqual([
      "any",
      "any",
      "maskable",
    ])
    const touch = await asha.page.locator('link[rel="apple-touch-icon"]').getAttribute("href")
    for (const { src, sizes } of [...manifest.icons, { src: touch, sizes: "180x180" }]) {
      const answer = await asha.page.request.get(new URL(src, server.url).href)
      expect(answer.headers()["content-type"]).toBe("image/png")
      const bytes = await answer.body()
      expect(`${bytes.readUInt32BE(16)}x${bytes.readUInt32BE(20)}`).toBe(sizes)
    }
    expect(asha.complaints).toEqual([])
    await asha.close()
  })

  it("the service worker caches the page and its files, and never API responses", async () => {
    const asha = await (await Person.arrive(browser, server, "Asha", allow)).signUp()
    const ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await controlled(asha)
    await asha.open(ben)
    await asha.say("not for a cache")
    await asha.message("not for a cache").waitFor()
    await asha.page.reload()
    await asha.message("not for a cache").waitFor()
    const build = await asha.page.locator('meta[name="build"]').getAttribute("content")
    const stored = await caches_(asha)
    expect(Object.keys(stored)).toEqual([`lamplight-build-${build}`])
    const paths = Object.values(stored).flat()
    expect(paths).toContain("/chat")
    expect(paths.filter((path) => path !== "/chat" && !path.startsWith("/chat/assets/"))).toEqual([])

    // The session ends elsewhere while no page is open: the next one removes the user's data.
    await saved(asha, "not for a cache")
    const { url } = server
    await asha.page.goto(`${url}/healthz`)
    const ended = await asha.context.request.post(`${url}/api/auth/logout-all`, {
      headers: { origin: url },
      data: {},
    })
    expect(ended.ok()).toBe(true)
    await asha.page.goto(`${url}/chat`)
    await asha.on("signin-form").waitFor()
    await until(() =>
      asha.page.evaluate(
        async () => !(await indexedDB.databases()).some(({ name }) => name === "lamplight-copy"),
      ),
    )
    expect(asha.complaints).toEqual([])
    await Promise.all([asha.close(), ben.close()])
  })
})

describe.skipIf(!canStart)("F36 the page without a server", () => {
  let browser: Browser
  const start = serversOfTest()
  beforeAll(async () => {
    browser = await launch()
  })
  afterAll(() => browser?.close())

  it("F36 46: a reload shows stored data, and waiting messages are sent when the server is back", async () => {
    const server = await start()
    const asha = await (await Person.arrive(browser, server, "Asha", { ...allow, bypassCSP: true })).signUp()
    const ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await controlled(asha)
    await asha.open(ben)
    await asha.say("before the storm")
    await ben.on("conversation-item").first().click()
    await ben.say("I can hear it")
    await asha.message("I can hear it").waitFor()
    await saved(asha, "before the storm", "I can hear it")
    await server.kill()
    await asha.say("are you there?")
    await asha.message("are you there?").waitFor()

    await asha.page.reload()
    await asha.on("offline").waitFor()
    for (const text of ["before the storm", "I can hear it", "are you there?"])
      await asha.message(text).waitFor()
    expect(await asha.on("thread-name").textContent()).toBe(ben.name)
    expect(await asha.on("connection-banner").textContent()).toContain("Not connected")
    expect(await asha.on("outbox-count").textContent()).toContain("1 message waits")
    expect(await asha.on("composer").count()).toBe(0)
    expect(await violations(asha.page)).toEqual([])

    await server.again()
    await asha.on("composer").waitFor()
    await ben.message("are you there?").waitFor()
    expect(await asha.on("offline").count()).toBe(0)
    await Promise.all([asha.close(), ben.close()])
  })

  it("F36 after signing out the offline page shows nothing of the user", async () => {
    const server = await start()
    const asha = await (await Person.arrive(browser, server, "Asha", { ...allow, ...phone })).signUp()
    const ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await controlled(asha)
    await asha.open(ben)
    await asha.on("composer").fill("only for Ben")
    await asha.on("send").click()
    await saved(asha, "only for Ben")
    await asha.on("back").click()
    await asha.page.locator('[data-testid="status-menu"]:visible').click()
    await asha.on("sign-out").click()
    await asha.on("signin-form").waitFor()
    await server.kill()
    await asha.page.reload()
    await asha.page.getByText("Not connected").waitFor()
    expect(await asha.on("offline").count()).toBe(0)
    expect(await asha.page.locator("body").textContent()).not.toContain(ben.name)
    await server.again()
    await asha.on("signin-form").waitFor()
    await Promise.all([asha.close(), ben.close()])
  })

  it("F36 the next load uses a new build; until then an old page keeps its own files and reports the update", async () => {
    const server = await start()
    const builds = await new Builds(server.url).start()
    try {
      const asha = await (await Person.arrive(browser, builds, "Asha", allow)).signUp()
      await controlled(asha)
      const build = () => asha.page.locator('meta[name="build"]').getAttribute("content")
      const first = await build()
      expect(await asha.on("new-version").count()).toBe(0)

      builds.update()
      await asha.page.evaluate(async () => (await navigator.serviceWorker.ready).update())
      await asha.on("new-version").waitFor()
      expect(Object.keys(await caches_(asha)).sort()).toEqual(
        [`lamplight-build-${first}`, "lamplight-build-ffffffffffffffff"].sort(),
      )
      // A script that this page had not loaded, and that the server has no more.
      await asha.on("search").fill("nothing")
      await asha.on("search-results").waitFor()
      expect(builds.missing).toEqual([])

      await asha.on("new-version-reload").click()
      await until(async () => (await build()) === "ffffffffffffffff")
      await asha.page.locator('[data-testid="status-menu"]:visible').waitFor()
      const scripts = await asha.page.evaluate(() =>
        performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname),
      )
      const own = scripts.filter((path) => /^\/chat\/assets\/.*\.(js|css)$/.test(path))
      expect(own.length).toBeGreaterThan(1)
      expect(own.filter((path) => !path.includes("-next."))).toEqual([])
      expect(builds.missing).toEqual([])
      expect(await asha.on("new-version").count()).toBe(0)
      // No page of the old build is open.
      await asha.page.reload()
      await expect
        .poll(async () => Object.keys(await caches_(asha)))
        .toEqual(["lamplight-build-ffffffffffffffff"])
      expect(asha.complaints).toEqual([])
      await asha.close()
    } finally {
      await builds.stop()
    }
  })
})
