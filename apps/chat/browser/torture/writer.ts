// A person at the page, with mouse and keyboard.
import { errors, type Locator, type Page } from "playwright-core"
import { words } from "../../src/strings"
import { PATIENCE_MS, type Person, until } from "../world"
import { bytesOf, type Ledger, prefixOf, type Sent } from "./ledger"
import type { Action, FilePlan } from "./plan"
import { unsent } from "./read"
import type { Rig } from "./rig"

/** The time limit of a step: a row may have moved out of view meanwhile. */
const STEP_MS = 4_000

export class Writer {
  readonly page: Page
  #name: string

  constructor(
    readonly who: number,
    readonly person: Person,
    readonly other: Person,
    readonly ledger: Ledger,
    readonly rig: Rig,
  ) {
    this.page = person.page
    this.#name = "ab"[who] ?? ""
    this.page.setDefaultTimeout(STEP_MS)
  }

  async run(actions: readonly Action[]): Promise<void> {
    for (const [at, action] of actions.entries()) {
      await this.rig.next(this.who)
      const began = performance.now()
      const obstacle = await this.#act(action)
      this.ledger.count(obstacle === "" ? action.do : `${action.do}: ${obstacle}`)
      this.rig.log(
        `${this.#name} ${at} ${action.do} ${obstacle} ${(performance.now() - began).toFixed(0)} ms`,
      )
    }
  }

  /** Returns the reason why an action was not possible; empty if it was. */
  #act(action: Action): Promise<string> {
    switch (action.do) {
      case "send":
        return this.send(action.text, action.isReloadedAtOnce)
      case "edit":
        return action.isLast ? this.#editLast(action.text) : this.#edit(action.text, action.pick)
      case "delete":
        return this.#delete(action.pick)
      case "react":
        return this.#react(action.pick, action.button)
      case "upload":
        return this.#upload(action.text, action.files, action.isReady)
      case "reload":
        return this.#reload()
      case "leave":
        return this.#leave()
    }
  }

  async send(text: string, isReloadedAtOnce = false, files: FilePlan[] = []): Promise<string> {
    const sent = this.ledger.add(this.who, text, files)
    const composer = this.person.on("composer")
    // Right after a reload the saved page gives way to the live one, which takes as long as the server and the machine do.
    if (text) await composer.fill(text, { timeout: PATIENCE_MS })
    await composer.press("Enter")
    if (isReloadedAtOnce) {
      await this.#reload()
      const isBack = async () => (await composer.inputValue()) === text
      await until(async () => (await this.#keyOf(sent)) !== null || (await isBack()))
      // Text that returned to the field was not sent, and sent text does not return.
      if ((await this.#keyOf(sent)) === null) await composer.press("Enter")
      else if (await isBack()) throw new Error(`What was sent is in the field again after a reload: ${text}`)
    }
    await until(async () => {
      sent.key = await this.#keyOf(sent)
      return sent.key !== null
    })
    return ""
  }

  /**
   * Edits, reacts to and deletes messages while the other has no connection. The other's page learns of that by the catch-up alone:
   * no event and no reload brings it, and reading over HTTP is kept from that page.
   */
  async changeUnseen(): Promise<void> {
    const name = this.#name
    const sent: Sent[] = []
    for (const what of ["edited", "reacted", "deleted"]) {
      await this.send(`${name}-${what}. before the other is away`)
      sent.push(this.ledger.sent[this.who]?.at(-1) as Sent)
    }
    const [edited, reacted, deleted] = sent as [Sent, Sent, Sent]
    const { page } = this.other
    const isThere = async (look: (row: Locator) => Promise<boolean>, text: string) => {
      const end = this.other.on("to-end")
      if (await end.isVisible()) await end.click().catch(() => {})
      return look(this.other.message(text))
    }
    await until(() => isThere((row) => row.isVisible(), `${name}-deleted.`))
    const place = await this.other.message(`${name}-deleted.`).getAttribute("data-key")
    await page.evaluate(() => {
      const { fetch } = window
      const isPage = /\/api\/privatechat\/messages\/[^/]+\?/
      window.fetch = (input, init) =>
        isPage.test(String(input)) ? Promise.reject(new TypeError("kept away")) : fetch(input, init)
      Object.assign(window, { readAgain: () => Object.assign(window, { fetch }) })
    })
    await this.rig.without(1 - this.who, async () => {
      await this.#must(this.#menu(edited.key ?? "", words.message.edit))
      await this.#saveEdit(edited, `${name}-edited. while the other was away`)
      const row = this.#row(reacted.key ?? "")
      await row.locator(".bubble").hover()
      await row.getByRole("button", { name: "React with " }).first().click()
      await this.#takeClicks()
      await this.#must(this.#menu(deleted.key ?? "", words.message.remove))
      await this.#confirmDeletion(deleted)
      await until(async () => (await unsent(this.person)).length === 0)
    })
    await until(() => isThere((row) => row.isVisible(), `${name}-edited. while`))
    await until(() => isThere((row) => row.locator(".reaction").isVisible(), `${name}-reacted.`))
    await page.locator(`[data-key="${place}"] [data-deleted]`).waitFor({ timeout: PATIENCE_MS })
    await page.evaluate(() => (window as unknown as { readAgain(): void }).readAgain())
  }

  async #must(is: Promise<boolean>): Promise<void> {
    if (!(await is)) throw new Error("A message at the end of the thread is out of reach.")
  }

  /** The key of the row of a message that was just sent. */
  async #keyOf({ text, files }: Sent): Promise<string | null> {
    const end = this.person.on("to-end")
    if (await end.isVisible()) await end.click().catch(() => {})
    return this.page.evaluate(
      ([prefix, name]) => {
        const rows = [...document.querySelectorAll<HTMLElement>("[data-testid=message][data-own]")]
        const row = rows.findLast((one) => {
          const content = one.querySelector("[data-content]")
          const text = content?.querySelector(".bubble-words") ?? content
          return prefix
            ? text?.textContent?.startsWith(prefix)
            : content?.querySelector(`[title="${name}"], [alt="${name}"]`)
        })
        return row?.dataset.key ?? null
      },
      [prefixOf(text), files[0]?.name ?? ""] as const,
    )
  }

  /** Scrolls up a little, so that what comes in does not move the rows, and chooses a message that is in view. */
  async #choose(pick: number, isOwn: boolean): Promise<string | null> {
    const box = await this.person.on("log").boundingBox()
    if (!box) return null
    await this.page.mouse.move(box.x + box.width / 2, box.y + 40)
    await this.page.mouse.wheel(0, -120 - Math.round(pick * 900))
    const keys = await this.page.evaluate((own) => {
      const log = document.querySelector("[data-testid=log]")?.getBoundingClientRect()
      const rows = [...document.querySelectorAll<HTMLElement>("[data-testid=message][data-state=sent]")]
      return rows.flatMap((row) => {
        const { top, bottom } = row.getBoundingClientRect()
        const isInView = log && top > log.top + 60 && bottom < log.bottom - 20
        const isDeleted = row.querySelector("[data-deleted]")
        return isInView && !isDeleted && (!own || "own" in row.dataset) ? [row.dataset.key ?? ""] : []
      })
    }, isOwn)
    return keys[Math.floor(pick * keys.length)] ?? null
  }

  #row(key: string) {
    return this.page.locator(`[data-testid="message"][data-key="${key}"]`)
  }

  /** Opens the menu of a message and chooses an item. Whether that was possible: the row may be gone from view. */
  async #menu(key: string, item: string): Promise<boolean> {
    return this.#try(async () => {
      await this.#row(key).locator(".bubble").hover()
      await this.#row(key).locator('[data-testid="message-menu"]').click()
      await this.page.getByRole("menuitem", { name: item, exact: true }).click()
    })
  }

  async #try(steps: () => Promise<unknown>): Promise<boolean> {
    try {
      await steps()
      return true
    } catch (thrown) {
      if (!(thrown instanceof errors.TimeoutError)) throw thrown
      await this.page.keyboard.press("Escape")
      return false
    }
  }

  async #edit(text: string, pick: number): Promise<string> {
    const key = await this.#choose(pick, true)
    const sent = key === null ? undefined : this.ledger.own(this.who, (one) => one.key === key)
    if (key === null || !sent) return "nothing in view"
    if (!(await this.#menu(key, words.message.edit))) return "out of reach"
    await this.#saveEdit(sent, text)
    return ""
  }

  /** With Arrow Up in the empty field. */
  async #editLast(text: string): Promise<string> {
    await this.person.on("composer").press("ArrowUp")
    const field = this.person.on("edit-field")
    if (!(await this.#try(() => field.waitFor()))) return "nothing to edit"
    const now = await field.inputValue()
    const sent = now === "" ? undefined : this.ledger.own(this.who, (one) => one.text === now)
    if (sent && !sent.isDeleted) {
      await this.#saveEdit(sent, text)
      return ""
    }
    await field.press("Escape")
    if (now !== "") throw new Error(`The page offers another text to edit than was sent: ${now}`)
    return "without a text"
  }

  async #saveEdit(sent: Sent, text: string): Promise<void> {
    const field = this.person.on("edit-field")
    await field.fill(text)
    await field.press("Enter")
    await field.waitFor({ state: "detached", timeout: PATIENCE_MS })
    Object.assign(sent, { text, isEdited: true })
  }

  async #delete(pick: number): Promise<string> {
    const key = await this.#choose(pick, true)
    const sent = key === null ? undefined : this.ledger.own(this.who, (one) => one.key === key)
    if (key === null || !sent) return "nothing in view"
    if (!(await this.#menu(key, words.message.remove))) return "out of reach"
    await this.#confirmDeletion(sent)
    return ""
  }

  async #confirmDeletion(sent: Sent): Promise<void> {
    await this.person.on("delete-confirm").click()
    sent.isDeleted = true
    // Stored by then: a reload does not lose it.
    await this.#row(sent.key ?? "")
      .locator("[data-deleted]")
      .waitFor({ timeout: PATIENCE_MS })
  }

  async #react(pick: number, button: number): Promise<string> {
    const key = await this.#choose(pick, false)
    if (key === null) return "nothing in view"
    const row = this.#row(key)
    // One in three takes back a reaction that is the person's own, if one is in view.
    const own = this.page.locator('[data-testid="message"] .reaction[aria-pressed="true"]').first()
    const isTakenBack = button === 0 && (await own.isVisible())
    const isClicked = await this.#try(async () => {
      if (isTakenBack) return own.click()
      await row.locator(".bubble").hover()
      await row.getByRole("button", { name: "React with " }).nth(button).click()
    })
    await this.#takeClicks()
    return isClicked ? "" : "out of reach"
  }

  /** Notes the reactions that were clicked, also those whose click came late. */
  async #takeClicks(): Promise<void> {
    const clicks = await this.page.evaluate(() =>
      (window as unknown as { clicks: { key: string; emoji: string; added: boolean }[] }).clicks.splice(0),
    )
    for (const { key, emoji, added } of clicks) {
      this.ledger.react(this.who, key, emoji, added)
      await until(() => this.#showsReaction(key, emoji, added))
    }
  }

  /** Or the message is deleted, or out of view. */
  #showsReaction(key: string, emoji: string, added: boolean): Promise<boolean> {
    return this.page.evaluate(
      ([key, emoji, added]) => {
        const row = document.querySelector(`[data-testid=message][data-key="${key}"]`)
        if (!row || row.querySelector("[data-deleted]")) return true
        const chips = [...row.querySelectorAll(".reaction")]
        const chip = chips.find((one) => one.firstElementChild?.textContent === emoji)
        return (chip?.getAttribute("aria-pressed") === "true") === added
      },
      [key, emoji, added] as const,
    )
  }

  async #upload(text: string, files: FilePlan[], isReady: boolean): Promise<string> {
    const payload = files.map((file) => ({
      name: file.name,
      mimeType: file.name.endsWith("png") ? "image/png" : "application/zip",
      buffer: bytesOf(file),
    }))
    const tray = this.person.on("upload")
    await this.person.on("file-input").setInputFiles(payload)
    const refused = this.page.locator("[data-sonner-toast]").filter({ hasText: "could not be attached" })
    // The parts of the page that show files load with the first of them.
    const retry = this.page.locator(".composer").getByRole("button", { name: words.list.retry })
    await until(async () => {
      if (await retry.isVisible()) await retry.click().catch(() => {})
      return (await tray.count()) === files.length || (await refused.count()) > 0
    }, 3 * PATIENCE_MS)
    if ((await tray.count()) !== files.length) {
      for (let left = await tray.count(); left > 0; left = await tray.count())
        await this.person.on("upload-cancel").first().click()
      return "not attached"
    }
    const isThere = async () =>
      (await this.page.locator('[data-testid="upload"][data-state="ready"]').count()) === files.length
    if (isReady) await until(isThere, 3 * PATIENCE_MS)
    await this.send(text, false, files)
    return ""
  }

  /** Until the page is there: a browser whose network is cut shows a page of its own. */
  async #reload(): Promise<string> {
    // The page asks for this while it could not store the bytes of a file yet.
    await until(async () => !(await this.page.getByText(words.files.keepOpen).isVisible()))
    const end = performance.now() + 90_000
    for (let tries = 1; ; tries++) {
      await this.page.reload({ timeout: 15_000, waitUntil: "domcontentloaded" }).catch(() => {})
      const composer = this.person.on("composer")
      const isHere = await composer.waitFor({ timeout: 8_000 }).then(
        () => true,
        () => false,
      )
      if (isHere) return ""
      if (performance.now() > end) throw new Error(`The page did not come back in ${tries} reloads.`)
    }
  }

  async #leave(): Promise<string> {
    await this.page.evaluate(() => {
      location.hash = "#/"
    })
    await this.person.on("composer").waitFor({ state: "detached", timeout: PATIENCE_MS })
    await this.person.on("conversation-item").first().click({ timeout: PATIENCE_MS })
    await this.person.on("composer").waitFor({ timeout: PATIENCE_MS })
    return ""
  }
}
