import { useConnection, useLamplight, useOutbox } from "@lamplight/react"
import { useEffect } from "react"
import { words } from "../strings"
import { useNow } from "./hooks"

/** A shorter loss is nobody's concern: most are over before one could read about them. */
const SILENT_MS = 5_000

/** What is wrong with the line, when the next try comes, and how much waits, and where. */
export function Banner() {
  const client = useLamplight()
  const connection = useConnection()
  const outbox = useOutbox()
  const down = connection.downSince !== null && connection.status !== "idle" && connection.status !== "closed"
  const now = useNow(1_000, down).getTime()
  // A clock that was set back meanwhile hides nothing.
  const visible = down && Math.abs(now - (connection.downSince ?? now)) >= SILENT_MS

  useAskBeforeLeaving(!outbox.durable && outbox.items.length > 0)
  const waiting = outbox.durable
    ? words.banner.waiting(outbox.waiting)
    : words.banner.waitingInTab(outbox.waiting)

  const seconds = connection.nextTryAt === null ? 0 : Math.ceil((connection.nextTryAt - now) / 1_000)
  const trying = connection.status === "connecting" || connection.status === "catching-up" || seconds <= 0
  const noNetwork = navigator.onLine === false
  const first = !connection.stale && connection.status === "connecting"
  const what = noNetwork
    ? words.banner.offline
    : first
      ? words.banner.connecting
      : connection.overHttp
        ? words.banner.overHttp
        : words.banner.lost
  return (
    // The countdown is left out of what is spoken: a second's tick is not news.
    <div>
      <div role="status" className="sr-only">
        {visible ? `${what} ${outbox.waiting > 0 ? waiting : ""}` : ""}
      </div>
      {visible && (
        <section className="banner" data-testid="connection-banner" aria-label={words.banner.region}>
          <strong>{what}</strong>
          {!noNetwork && !first && (
            <span aria-live="off">{trying ? words.banner.trying : words.banner.retryIn(seconds)}</span>
          )}
          {!trying && (
            <button type="button" onClick={() => client.connect()}>
              {words.banner.tryNow}
            </button>
          )}
          <span data-testid="outbox-count" data-waiting={outbox.waiting}>
            {outbox.waiting > 0 ? waiting : connection.overHttp ? null : words.banner.keepWriting}
          </span>
        </section>
      )}
    </div>
  )
}

/** What lies over the page (a toast) keeps below what is told at its top, whose buttons must not be covered. */
export function tellHeight(banner: HTMLElement | null) {
  if (!banner) return
  const { style } = document.documentElement
  const observer = new ResizeObserver(() => style.setProperty("--banner-height", `${banner.offsetHeight}px`))
  observer.observe(banner)
  return () => {
    observer.disconnect()
    style.removeProperty("--banner-height")
  }
}

/** Where the browser keeps nothing, what waits would be gone with the tab; else nobody is held up. */
function useAskBeforeLeaving(ask: boolean): void {
  useEffect(() => {
    if (!ask) return
    const hold = (event: BeforeUnloadEvent) => event.preventDefault()
    addEventListener("beforeunload", hold)
    return () => removeEventListener("beforeunload", hold)
  }, [ask])
}
