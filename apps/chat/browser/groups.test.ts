import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { canRun, closeOthers, launch, Person, resize, restore, Server, settled, until } from "./world"

/** Asha has the group, Ben is made an admin and leaves, Cleo is removed, Dan is added later. */
describe.skipIf(!canRun)("groups and blocks", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person
  let cleo: Person
  let dan: Person

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    const arrive = async (name: string) =>
      (await Person.arrive(browser, server, name, { bypassCSP: true })).signUp()
    asha = await arrive("Asha")
    ben = await arrive("Ben")
    cleo = await arrive("Cleo")
    dan = await arrive("Dan")
  })
  afterEach(async () => {
    for (const person of [asha, ben, cleo, dan]) await restore(person)
    await closeOthers(browser, asha, ben, cleo, dan)
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  const row = (person: Person, text: string) => person.on("conversation-item").filter({ hasText: text })
  /** Names stand in isolates, which cannot be seen. */
  const loose = (text: string) => new RegExp(text.split(/ |(?<=“)|(?=”)/).join("[\\u2068\\u2069 ]*"))
  const system = (person: Person, text: string) => person.on("system").filter({ hasText: loose(text) })
  const member = (person: Person, other: Person) =>
    person.on("member").filter({ hasText: other === person ? "You" : other.name })

  /** Expects no axe violations in either theme. */
  async function isClean({ page }: Person) {
    for (const theme of ["dark", "light"]) {
      await page.evaluate((name) => {
        document.documentElement.dataset.theme = name
      }, theme)
      expect(await violations(page)).toEqual([])
    }
  }

  /** Chooses people in the open dialog by their names. */
  async function choose(person: Person, ...others: Person[]) {
    for (const other of others) {
      await person.on("picker-search").fill(other.name)
      await person.on("pick").filter({ hasText: other.name }).first().click()
      await person.on("picker-search").fill("")
    }
    expect(await person.on("chosen").count()).toBe(others.length)
  }

  async function openDetails(person: Person) {
    if (await person.on("details").isVisible()) return
    await person.on("open-details").click()
    await person.on("details").waitFor()
  }

  /** Chooses an item in the menu of a member. */
  async function act(person: Person, other: Person, testId: string) {
    await member(person, other).click()
    await person.on(testId).click()
  }

  it("a group is created and named by keyboard, and all its members see it at once", async () => {
    await asha.on("new-group").focus()
    await asha.page.keyboard.press("Enter")
    await asha.on("group-dialog").waitFor()
    await until(async () => (await asha.focused()) !== "new-group")
    await isClean(asha)
    // Escape gives the focus back.
    await asha.page.keyboard.press("Escape")
    await asha.on("group-dialog").waitFor({ state: "detached" })
    await until(async () => (await asha.focused()) === "new-group")
    await asha.page.keyboard.press("Enter")
    await asha.on("group-name").fill("Night ferry")
    await asha.on("picker-search").fill(ben.name)
    await asha.on("pick").filter({ hasText: ben.name }).first().waitFor()
    await asha.page.keyboard.press("Enter")
    await asha.on("chosen").filter({ hasText: ben.name }).waitFor()
    // Enter does not pick a result of an earlier search.
    let answer = () => {}
    const asked = new Promise<void>((resolve) => {
      answer = resolve
    })
    await asha.on("picker-search").fill(dan.username)
    await asha.on("pick").filter({ hasText: dan.name }).waitFor()
    await asha.page.route("**/api/users?*nobody*", async (route) => {
      await asked
      await route.continue()
    })
    await asha.on("picker-search").fill("nobody at all")
    await asha.page.keyboard.press("Enter")
    answer()
    await asha.on("group-dialog").getByText("No results for").waitFor()
    expect(await asha.on("chosen").count()).toBe(1)
    await asha.page.unrouteAll({ behavior: "ignoreErrors" })
    await asha.on("picker-search").fill(cleo.name)
    await asha.on("pick").filter({ hasText: cleo.name }).first().waitFor()
    await asha.page.keyboard.press("ArrowDown")
    await asha.page.keyboard.press("Space")
    await until(async () => (await asha.on("chosen").count()) === 2)
    await isClean(asha)
    await asha.on("group-create").click()
    await asha.on("thread-name").filter({ hasText: "Night ferry" }).waitFor()
    await asha.on("member-count").filter({ hasText: "3 members" }).waitFor()
    await system(asha, "You created the group").waitFor()
    for (const person of [ben, cleo]) {
      await row(person, "Night ferry").click()
      await system(person, `${asha.name} created the group`).waitFor()
    }
  })

  it("messages show their senders in the thread and in the list", async () => {
    await ben.say("Who has the tickets?")
    await asha.message("Who has the tickets?").waitFor()
    await asha.on("log").getByText(ben.name, { exact: true }).waitFor()
    await cleo.say("Me")
    await asha.message("Me").waitFor()
    await row(asha, "Night ferry")
      .filter({ hasText: `${cleo.name}:` })
      .waitFor()
    await row(cleo, "Night ferry").filter({ hasText: "You:" }).waitFor()
  })

  it("only admins change the group's name, in place, and the thread reports the change", async () => {
    await openDetails(ben)
    await ben.on("details-name").filter({ hasText: "Night ferry" }).waitFor()
    expect(await ben.on("rename").count()).toBe(0)
    await openDetails(asha)
    await asha.on("rename").click()
    await asha.on("rename-field").fill("Early ferry")
    await asha.page.keyboard.press("Enter")
    for (const person of [asha, ben, cleo])
      await person.on("thread-name").filter({ hasText: "Early ferry" }).waitFor()
    await system(cleo, "named the group “Early ferry”").waitFor()
    await until(async () => (await asha.focused()) === "rename")
    await isClean(asha)
  })

  it("members are added and given roles, and each role sees only its permitted actions", async () => {
    await asha.on("add-members").click()
    await choose(asha, dan)
    await isClean(asha)
    await asha.on("add-confirm").click()
    await member(asha, dan).waitFor()
    await until(async () => (await asha.focused()) === "add-members")
    await row(dan, "Early ferry").click()
    await system(dan, `${asha.name} added you`).waitFor()
    // The log of a new member begins with the entry that added them.
    expect(await dan.message("tickets").count()).toBe(0)
    await act(asha, ben, "make-admin")
    await member(asha, ben).filter({ hasText: "Admin" }).waitFor()
    await ben.on("add-members").waitFor()
    await system(cleo, `${asha.name} made ${ben.name} an admin`).waitFor()
    await ben.on("member").filter({ hasText: asha.name }).click()
    await ben.page.getByRole("menu").waitFor()
    expect(await ben.on("remove-member").count()).toBe(0)
    await isClean(ben)
    await ben.page.keyboard.press("Escape")
  })

  it("a removed member sees the removal at once and can still copy unsent messages", async () => {
    await cleo.page.route("**/api/privatechat/message", (route) => route.abort())
    await cleo.context.setOffline(true)
    await cleo.say("Wait for me!")
    await cleo.on("waiting").waitFor()
    await openDetails(asha)
    await act(asha, cleo, "remove-member")
    await asha.on("confirm-dialog").waitFor()
    await isClean(asha)
    await asha.on("confirm").click()
    await member(asha, cleo).waitFor({ state: "detached" })
    await system(ben, `${asha.name} removed ${cleo.name}`).waitFor()
    await cleo.page.unrouteAll({ behavior: "ignoreErrors" })
    await cleo.context.setOffline(false)
    await cleo.on("removed").waitFor()
    await cleo.on("unsent").filter({ hasText: "Wait for me!" }).waitFor()
    expect(await row(cleo, "Early ferry").count()).toBe(0)
    await isClean(cleo)
    await cleo.page.getByRole("button", { name: "Back to conversations" }).click()
    await row(cleo, "Early ferry").waitFor({ state: "detached" })
    // Online, without a moment in between.
    await openDetails(asha)
    await asha.on("add-members").click()
    await choose(asha, cleo)
    await asha.on("add-confirm").click()
    await row(cleo, "Early ferry").click()
    await cleo.on("composer").waitFor()
    await act(asha, cleo, "remove-member")
    await asha.on("confirm").click()
    await cleo.on("removed").waitFor()
    await asha.say("Only we three now")
    await ben.message("Only we three now").waitFor()
    expect(await cleo.page.getByText("Only we three now").count()).toBe(0)
  })

  it("an owner who leaves transfers the ownership, and the group leaves their list", async () => {
    const hash = () => asha.page.evaluate(() => location.hash)
    const thread = (await hash()).replace(/\/details$/, "")
    await openDetails(asha)
    // A second press on the button does not leave the thread too.
    await asha.on("close-details").evaluate((button) => {
      ;(button as HTMLElement).click()
      ;(button as HTMLElement).click()
    })
    await asha.on("details").waitFor({ state: "detached" })
    await settled(asha.page, hash)
    expect(await hash()).toBe(thread)
    await asha.page.evaluate(() => {
      location.hash = "#/people"
    })
    await row(asha, "Early ferry").click()
    await openDetails(asha)
    await asha.on("leave").click()
    await asha.on("confirm-dialog").getByText("becomes the owner").waitFor()
    await asha.page.keyboard.press("Escape")
    await until(async () => (await asha.focused()) === "leave")
    await asha.on("leave").click()
    await asha.on("confirm").click()
    await row(asha, "Early ferry").waitFor({ state: "detached" })
    await asha.on("details").waitFor({ state: "detached" })
    await expect.poll(hash).toBe("#/")
    // Back does not lead into the group.
    await asha.page.goBack()
    await expect.poll(hash).toBe("#/people")
    await system(dan, `${asha.name} left the group`).waitFor()
    await system(dan, `${ben.name} is now an owner`).waitFor()
    // Also after a reload, with the name of the former member.
    await dan.page.reload()
    await system(dan, `left the group`).waitFor()
  })

  it("after switching conversations with open details, Back returns to the list", async () => {
    const hash = () => dan.page.evaluate(() => location.hash)
    await dan.open(asha)
    const other = await hash()
    await dan.say("Shall we go?")
    await row(dan, "Shall we go?").waitFor()
    await dan.page.evaluate(() => {
      location.hash = "#/"
    })
    await row(dan, "Early ferry").click()
    const thread = await hash()
    await dan.on("open-details").click()
    await dan.on("leave").waitFor()
    await row(dan, "Shall we go?").click()
    await dan.on("details").waitFor({ state: "detached" })
    await expect.poll(hash).toBe(other)
    await dan.page.goBack()
    await expect.poll(hash).toBe("#/")
    // The conversation itself closes its details, and Back leads to the list too.
    await row(dan, "Early ferry").click()
    await dan.on("open-details").click()
    await dan.on("leave").waitFor()
    await row(dan, "Early ferry").click()
    await dan.on("details").waitFor({ state: "detached" })
    await expect.poll(hash).toBe(thread)
    await dan.page.goBack()
    await expect.poll(hash).toBe("#/")
  })

  it("a block closes both composers without a reason for the blocked user, and only the blocker can end it", async () => {
    await asha.open(dan)
    await asha.say("Hello Dan")
    await dan.open(asha)
    await dan.message("Hello Dan").waitFor()
    await openDetails(asha)
    await asha.on("block").click()
    await asha.on("confirm-dialog").waitFor()
    await isClean(asha)
    await asha.on("confirm").click()
    await asha.on("composer-unblock").waitFor()
    expect(await asha.on("composer").isVisible()).toBe(false)
    await asha.on("unblock").waitFor()
    await isClean(asha)
    await dan.say("Are you there?")
    await dan.on("no-writing").filter({ hasText: "You cannot write in this conversation." }).waitFor()
    expect(await dan.on("composer-unblock").count()).toBe(0)
    await dan.message("Are you there?").filter({ hasText: "Not sent" }).waitFor()
    await isClean(dan)
    await asha.on("composer-unblock").click()
    await asha.on("composer").waitFor()
    await dan.on("composer-again").click()
    await asha.message("Are you there?").waitFor()
    await dan.on("composer").waitFor()
    expect([asha, ben, cleo, dan].map(({ complaints }) => complaints)).toEqual([[], [], [], []])
  })

  it("on a phone the details fill the screen, and Back returns to the thread", async () => {
    await resize(ben.page, 390, 844)
    await ben.on("close-details").click()
    await ben.on("composer").waitFor()
    await until(async () => (await ben.focused()) === "open-details")
    await ben.page.keyboard.press("Enter")
    await ben.on("leave").waitFor()
    expect(await ben.on("thread").isVisible()).toBe(false)
    const box = await ben.on("details").boundingBox()
    expect([box?.x, box?.width]).toEqual([0, 390])
    await isClean(ben)
    await ben.page.goBack()
    await ben.on("composer").waitFor()
    await ben.on("back").click()
    await row(ben, "Early ferry").waitFor()
  })
})
