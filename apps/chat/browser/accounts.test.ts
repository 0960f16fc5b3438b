import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { canStart, closeOthers, launch, Person, phone, Server, serversOfTest, until } from "./world"

const PASSWORD = "a lamp in the window"

/** Opens the account dialog from the menu. */
async function openAccount(person: Person): Promise<void> {
  await person.page.locator('[data-testid="status-menu"]:visible').click()
  await person.on("account-open").click()
  await person.on("account-dialog").waitFor()
}

describe.skipIf(!canStart)("account settings", () => {
  let browser: Browser
  const server = new Server()
  const start = serversOfTest()

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })
  afterEach(() => closeOthers(browser))

  it("a changed name shows to others at once, and Escape closes the dialog", async () => {
    const asha = await (await Person.arrive(browser, server, "Asha")).signUp()
    const ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await openAccount(asha)
    const name = asha.on("account-name").locator("[name=name]")
    await name.fill("   ")
    await name.press("Enter")
    await asha.page.getByText("Fill in this field.").waitFor()
    const renamed = `Renamed ${asha.name}`
    await name.fill(renamed)
    await name.press("Enter")
    await asha.page.getByText("Your name is changed.").waitFor()
    await ben.on("online-user").filter({ hasText: renamed }).first().waitFor()
    await asha.page.keyboard.press("Escape")
    await asha.on("account-dialog").waitFor({ state: "detached" })
    await until(() =>
      asha.page.evaluate(() => document.activeElement?.getAttribute("data-testid") === "status-menu"),
    )
    await until(async () =>
      ((await asha.page.locator('[data-testid="status-menu"]:visible').textContent()) ?? "").includes(
        renamed,
      ),
    )
    await asha.page.reload()
    await until(async () =>
      ((await asha.page.locator('[data-testid="status-menu"]:visible').textContent()) ?? "").includes(
        renamed,
      ),
    )
    expect([...asha.complaints, ...ben.complaints]).toEqual([])
    await Promise.all([asha.close(), ben.close()])
  })

  it("a changed password signs other devices out, and a wrong current one shows its error at the field", async () => {
    const asha = await (await Person.arrive(browser, server, "Asha", phone)).signUp()
    const other = await Person.arrive(browser, server, "Asha")
    await other.signIn(asha.username)
    await openAccount(asha)
    const form = asha.on("account-password")
    const save = form.getByRole("button", { name: "Change password" })
    await save.click()
    await form.getByText("Fill in this field.").first().waitFor()
    await form.locator("[name=current]").fill("not this one")
    await form.locator("[name=next]").fill("short")
    await save.click()
    await form.getByText("Use at least 8 characters.").waitFor()
    await form.locator("[name=next]").fill("another lamp altogether")
    await save.click()
    await form.getByText("The current password is wrong.").waitFor()
    await form.locator("[name=current]").fill(PASSWORD)
    await save.click()
    await form.getByText("Your password is changed.").waitFor()
    await expect.poll(() => form.locator("[name=current]").inputValue()).toBe("")
    // The other device shows the sign-in form, and the old password is refused.
    await other.on("signin-form").waitFor()
    await other.page.locator("[name=username]").fill(asha.username)
    await other.page.locator("[name=password]").fill(PASSWORD)
    await other.on("signin-submit").click()
    await other.page.getByText("The user name or the password is wrong.").waitFor()
    await other.page.locator("[name=password]").fill("another lamp altogether")
    await other.on("signin-submit").click()
    await other.page.locator('[data-testid="status-menu"]:visible').waitFor()
    expect([...asha.complaints, ...other.complaints]).toEqual([])
    await Promise.all([asha.close(), other.close()])
  })

  it("“Sign out everywhere” ends every session", async () => {
    const asha = await (await Person.arrive(browser, server, "Asha")).signUp()
    const other = await Person.arrive(browser, server, "Asha")
    await other.signIn(asha.username)
    await openAccount(asha)
    await asha.on("sign-out-everywhere").click()
    await Promise.all([asha, other].map((one) => one.on("signin-form").waitFor()))
    await asha.page.reload()
    await asha.on("signin-form").waitFor()
    expect([...asha.complaints, ...other.complaints]).toEqual([])
    await Promise.all([asha.close(), other.close()])
  })

  it("deleting the account needs the password, and others keep the thread with a “deleted account” label", async () => {
    const asha = await (await Person.arrive(browser, server, "Asha", { bypassCSP: true })).signUp()
    const ben = await (await Person.arrive(browser, server, "Ben", { bypassCSP: true })).signUp()
    await asha.open(ben)
    await asha.say("goodbye, and thanks")
    await openAccount(asha)
    await asha.page.getByText("Whoever runs the server can read them.").waitFor()
    await asha.on("account-delete-open").click()
    const form = asha.on("account-delete")
    await form.getByText("Your texts and files disappear for everyone, in all conversations.").waitFor()
    expect(await form.locator("[value=keep]").isChecked()).toBe(true)
    expect(await violations(asha.page)).toEqual([])
    const last = form.getByRole("button", { name: "Delete my account" })
    await last.click()
    await form.getByText("Fill in this field.").waitFor()
    await form.locator("[name=password]").fill("not this one")
    await last.click()
    await form.getByText("The password is wrong.").waitFor()
    await form.locator("[name=password]").fill(PASSWORD)
    await last.click()
    await asha.on("signin-form").waitFor()
    const row = ben.on("conversation-item").filter({ hasText: "Deleted account" })
    await row.first().click()
    await ben.page.getByText("goodbye, and thanks").last().waitFor()
    await ben.page.getByText("This account was deleted.").waitFor()
    expect(await row.first().locator(".avatar[data-deleted] .avatar-face svg").count()).toBe(1)
    expect(await ben.on("composer").isVisible()).toBe(false)
    expect(await violations(ben.page)).toEqual([])
    expect([...asha.complaints, ...ben.complaints]).toEqual([])
    await Promise.all([asha.close(), ben.close()])
  })

  it("closed registration hides the sign-up, and a server without accounts hides the account settings", async () => {
    const closed = await start({ REGISTRATION: "closed" })
    const stranger = await Person.arrive(browser, closed, "Stranger")
    await stranger.on("signin-form").waitFor()
    await stranger.page
      .getByText("Registration is closed. Ask the administrator of this server for an account.")
      .waitFor()
    expect(await stranger.on("signin-switch").count()).toBe(0)
    await stranger.close()

    const open = await start({ AUTH: "open" })
    const noor = await Person.arrive(browser, open, "Noor")
    await noor.page.locator("[name=userId]").fill("42")
    await noor.page.keyboard.press("Enter")
    await noor.page.locator('[data-testid="status-menu"]:visible').click()
    await noor.on("sign-out").waitFor()
    expect(await noor.on("account-open").count()).toBe(0)
    await noor.close()
  })
})
