// Collects a page's toasts, console errors and refused requests. Each must be justified by a real fault.
import type { BrowserContext, Page } from "playwright-core"
import { words } from "../../src/strings"

export interface Notice {
  at: number
  kind: "toast" | "console" | "answer"
  text: string
}

/** Collects them from the first moment of a page on, over its reloads. */
export async function watch(context: BrowserContext, page: Page): Promise<Notice[]> {
  const notices: Notice[] = []
  const note = (kind: Notice["kind"], text: string) => notices.push({ at: performance.now(), kind, text })
  await context.exposeBinding("tellToast", (_, text: string) => note("toast", text))
  await context.addInitScript(() => {
    const recorded = new WeakSet<Element>()
    new MutationObserver(() => {
      for (const toast of document.querySelectorAll<HTMLElement>("[data-sonner-toast]")) {
        if (recorded.has(toast)) continue
        recorded.add(toast)
        ;(window as unknown as { tellToast(text: string): void }).tellToast(toast.innerText)
      }
    }).observe(document, { childList: true, subtree: true })
    // A click on an emoji of a message, and whether it is to be there or not by what the page showed then.
    const clicks: { key: string; emoji: string; added: boolean }[] = []
    Object.assign(window, { clicks })
    document.addEventListener(
      "click",
      ({ target }) => {
        const button = (target as Element).closest<HTMLElement>("button")
        const message = button?.closest<HTMLElement>("[data-testid=message]")
        const key = message?.dataset.key
        const label = button?.getAttribute("aria-label") ?? ""
        const isChip = button?.matches(".reaction")
        if (!button || !message || !key || !(isChip || label.startsWith("React with "))) return
        const emoji = isChip
          ? (button.firstElementChild?.textContent ?? "")
          : label.slice("React with ".length)
        const chip = [...message.querySelectorAll(".reaction")].find(
          (one) => one.firstElementChild?.textContent === emoji,
        )
        if (label !== "React with another emoji")
          clicks.push({ key, emoji, added: chip?.getAttribute("aria-pressed") !== "true" })
      },
      { capture: true },
    )
  })
  page.on("pageerror", (error) => note("console", `${error.message}\n${error.stack}`))
  page.on("console", (message) => {
    if (message.type() === "error") note("console", `${message.text()} (${message.location().url})`)
  })
  page.on("response", (response) => {
    const status = response.status()
    if (status < 400) return
    note("answer", `${status} ${response.request().method()} ${new URL(response.url()).pathname}`)
  })
  return notices
}

/**
 * Whether a notice is true.
 * @param wasBroken whether the network or the server was broken then, or shortly before
 * @param isGone whether the message that this path names is deleted
 */
export function isTrue(
  { kind, text }: Notice,
  wasBroken: boolean,
  isGone: (path: string) => boolean,
): boolean {
  const { errors, message } = words
  if (kind === "toast") {
    // A reaction to a message that its author deleted meanwhile.
    if (text.includes(message.notChanged.reaction) && text.includes(errors.not_found)) return true
    return wasBroken && [errors.network, errors.unavailable].some((why) => text.includes(why))
  }
  // The browser's own words.
  if (kind === "console") {
    if (/Failed to load resource: the server responded/.test(text)) return true // Judged as an answer.
    return wasBroken && /Failed to load resource: net::|WebSocket connection to .* failed/.test(text)
  }
  const [status = "", method, path = ""] = text.split(" ")
  if (status === "404" && isGone(path)) return true
  // The server may still be reading what was sent over the connection that was lost: the page asks where to go on.
  if (status === "409" && method === "PATCH" && path.startsWith("/api/files/")) return wasBroken
  // A polling transport whose session went with the server.
  if (status === "400" && path.replace(/\/$/, "") === "/api/socketio") return wasBroken
  // nginx, of nodes that are dead; the server, while it starts or ends.
  return wasBroken && ["502", "503", "504"].includes(status)
}
