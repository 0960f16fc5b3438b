/** The outbox as the page shows it. */
import type { Core } from "../core.js"
import { LamplightError } from "../errors.js"
import { same, view } from "../store.js"
import type { OutboxItem, OutboxState, WaitingFor } from "../types.js"
import { isUploading, type OutboxEntry, type OutboxQueue } from "./queue.js"

export function createOutboxView(core: Core, queue: OutboxQueue) {
  /** The items of a conversation in order, each with what it waits for. */
  function items(conversationId: string): OutboxItem[] {
    let isBusy = false
    let isBlocked = false
    return queue.lane(conversationId).map((entry) => {
      const { record, attempts, nextTryAt } = entry
      const { failed, write } = record
      // A change of a message does not wait for a message that failed.
      const before = isBlocked && !write ? "earlier-failed" : isBusy ? "earlier" : null
      // A message that can be sent at once never shows that it waits for a connection.
      const isLeaving = entry.inFlight || (attempts === 0 && core.connection.joined())
      const next = isUploading(entry) ? "upload" : isLeaving ? "server" : "connection"
      const own: WaitingFor = entry.signIn ? "sign-in" : (before ?? next)
      entry.item = same<OutboxItem>(entry.item, {
        ...record,
        state: failed ? "failed" : "sending",
        attempts,
        waitingFor: failed ? null : own,
        nextTryAt: failed || before ? null : nextTryAt,
        error: failed ? errorOf(entry, failed) : null,
      })
      if (failed) isBlocked ||= !write
      else if (before !== "earlier-failed") isBusy = true
      return entry.item
    })
  }

  /** The same object while it is the same error. */
  function errorOf(entry: OutboxEntry, failed: { code: string; message: string }): LamplightError {
    const last = entry.item?.error
    if (last?.code === failed.code) return last
    return new LamplightError({ ...failed, retryable: false, fix: "Edit it, try again, or discard it." })
  }

  const store = view<OutboxState>({ items: [], waiting: 0, failed: 0, durable: true }, (last) => {
    const entries = [...queue.entries.values()]
    const ids = new Set(entries.map(({ record }) => record.conversationId))
    const all = [...ids].flatMap(items)
    const failed = all.filter((item) => item.state === "failed").length
    return same(last, {
      items: same(last.items, all),
      failed,
      waiting: all.length - failed,
      durable: core.isPersistent() && entries.every(({ saved }) => saved),
    })
  })

  return { store, items: (id: string) => (queue.entries.size ? items(id) : []) }
}
