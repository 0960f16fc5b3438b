import { useConnection, useLamplight, useOutbox } from "@lamplight/react"
import { useEffect } from "react"
import { words } from "../strings"
import { useLost, useNow } from "./hooks"

/** Shows the state of a lost connection, the next attempt, and how many messages wait and where. */
export function Banner() {
  const client = useLamplight()
  const connection = useConnection()
  const outbox = useOutbox()
  const visible = useLost()
  const now = useNow(1_000, visible).getTime()

  useAskBeforeLeaving(!outbox.durable && outbox.items.length > 0)
  const changes = outbox.items.filter(({ state, write }) => state === "sending" && write).length
  const waiting = outbox.durable
    ? words.banner.waiting(outbox.waiting - changes, changes)
    : words.banner.waitingInTab(outbox.waiting - changes, changes)

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
    // The countdown is not announced: it changes every second.
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

/** Toasts stay below the banner, so that they do not cover its buttons. */
export function reportHeight(banner: HTMLElement | null) {
  if (!banner) return
  const { style } = document.documentElement
  const observer = new ResizeObserver(() => style.setProperty("--banner-height", `${banner.offsetHeight}px`))
  observer.observe(banner)
  return () => {
    observer.disconnect()
    style.removeProperty("--banner-height")
  }
}

/**
 * Asks before the tab closes, but only where the browser has no storage and unsent messages would be lost.
 */
function useAskBeforeLeaving(ask: boolean): void {
  useEffect(() => {
    if (!ask) return
    const hold = (event: BeforeUnloadEvent) => event.preventDefault()
    addEventListener("beforeunload", hold)
    return () => removeEventListener("beforeunload", hold)
  }, [ask])
}
