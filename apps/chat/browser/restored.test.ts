import { cp, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { canStart, closeOthers, isCluster, launch, Person, type Server, serversOfTest } from "./world"

/** Each way to restore data while the server is stopped. `keep` is called before the stop, `bringBack` after it. */
const ways = isCluster
  ? [
      {
        name: "pg_dump and pg_restore",
        keep: async (server: Server, copy: string) => server.cluster?.backup(copy),
        bringBack: async (server: Server, copy: string) => server.cluster?.restore(copy),
      },
    ]
  : [
      {
        name: "a copied data directory, which has the generation of before",
        keep: async (server: Server, copy: string) => {
          // Only what is at rest can be copied by hand.
          await server.end()
          await cp(server.data, copy, { recursive: true })
          await server.again()
        },
        bringBack: async (server: Server, copy: string) => {
          await rm(server.data, { recursive: true })
          await cp(copy, server.data, { recursive: true })
        },
      },
      {
        name: "lamplight backup and restore",
        keep: async (server: Server, copy: string) => {
          expect(await server.command("backup", copy)).toBe(0)
        },
        bringBack: async (server: Server, copy: string) => {
          expect(await server.command("restore", copy)).toBe(0)
        },
      },
    ]

describe.skipIf(!canStart)("F14 the server is restored from a backup under an open page", () => {
  let browser: Browser
  let home: string
  const start = serversOfTest()
  beforeAll(async () => {
    browser = await launch()
    home = await mkdtemp(join(tmpdir(), "lamplight-copies-"))
  })
  afterAll(async () => {
    await browser?.close()
    await rm(home, { recursive: true, force: true })
  })
  afterEach(() => closeOthers(browser))

  for (const [index, { name, keep, bringBack }] of ways.entries()) {
    it(name, async () => {
      const server = await start({ AUTH: "open" })
      const enter = async (who: string) => {
        const person = await Person.arrive(browser, server, who, { bypassCSP: true })
        await person.page.locator("[name=userId]").fill(person.username)
        await person.page.locator("[name=name]").fill(person.name)
        await person.page.locator('[data-testid="open-form"] button[type=submit]').click()
        await person.page.locator('[data-testid="status-menu"]:visible').waitFor()
        return person
      }
      const [asha, ben] = [await enter("Asha"), await enter("Ben")]
      const texts = (person: Person) => person.page.locator("[data-content]").allInnerTexts()
      await asha.open(ben)
      await asha.say("one")
      await asha.say("two")
      await ben.on("conversation-item").first().click()
      await ben.message("two").waitFor()
      const receipt = () => asha.on("receipt").last().getAttribute("data-receipt")
      await expect.poll(receipt).toBe("read")
      const copy = join(home, String(index))
      await keep(server, copy)

      // Messages from here on are lost. Ben has another conversation open, so that some of them are unread.
      await ben.page.evaluate(() => {
        location.hash = "#/"
      })
      await expect.poll(() => asha.on("connection-banner").count()).toBe(0)
      for (const text of ["lost three", "lost four", "lost five"]) await asha.say(text)
      await ben.on("unread").filter({ hasText: "3" }).waitFor()
      await expect.poll(receipt).toBe("delivered")

      await server.end()
      await asha.say("written while nothing answers")
      await bringBack(server, copy)
      await server.again()

      for (const person of [asha, ben]) {
        await person.on("restored").waitFor({ timeout: 30_000 })
        await expect.poll(() => person.on("restored").innerText()).toContain("earlier copy")
        for (const colorScheme of ["light", "dark"] as const) {
          await person.page.emulateMedia({ colorScheme, reducedMotion: "reduce" })
          expect(await violations(person.page)).toEqual([])
        }
      }
      // Unsent messages were sent, and lost messages are neither shown nor counted.
      const whole = ["one", "two", "written while nothing answers"]
      await expect.poll(() => texts(asha)).toEqual(whole)
      await expect.poll(() => asha.on("message").last().getAttribute("data-state")).toBe("sent")
      await ben.on("unread").filter({ hasText: /^1\b/ }).waitFor()
      await expect.poll(() => ben.page.title()).toMatch(/^\(1\)/)
      await ben.on("conversation-item").first().click()
      await ben.message("written while nothing answers").waitFor()
      await expect.poll(() => texts(ben)).toEqual(whole)
      await expect.poll(() => ben.on("unread").count()).toBe(0)

      // The notice stays until it is dismissed; new messages arrive as before.
      await asha.say("as ever")
      await ben.message("as ever").waitFor()
      expect(await ben.on("restored").count()).toBe(1)
      await ben.page.getByRole("button", { name: "Understood" }).click()
      await expect.poll(() => ben.on("restored").count()).toBe(0)
      await ben.page.reload()
      await ben.message("as ever").waitFor()
      expect(await ben.on("restored").count()).toBe(0)
      expect([...asha.complaints, ...ben.complaints]).toEqual([])
    })
  }
})
