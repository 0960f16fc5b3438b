import type { OutboxItem } from "@lamplight/client"
import { expect, it } from "vitest"
import { firstBehindFailed, namedUnsent } from "./unsent"

const item = (conversationId: string, content: string, state: "sending" | "failed" = "sending") => ({
  conversationId,
  content,
  state,
})

it("F29 a row shows the failed message, or else the last one written", () => {
  const named = namedUnsent([
    item("a", "one", "failed"),
    item("b", "first"),
    item("a", "two"),
    item("a", "three"),
    item("b", "second"),
    item("c", "waits"),
    item("c", "failed later", "failed"),
    { ...item("d", "an edit"), write: {} as NonNullable<OutboxItem["write"]> },
  ])
  expect([...named].map(([id, { content }]) => [id, content])).toEqual([
    ["a", "one"],
    ["b", "second"],
    ["c", "failed later"],
  ])
})

it("F29 the next message waits for the failed one, the others for the one before", () => {
  const row = (key: string, seq: number | null, waitingFor: "earlier-failed" | null) => ({
    key,
    seq,
    waitingFor,
  })
  const rows = [
    row("sent", 7, null),
    row("failed", null, null),
    row("next", null, "earlier-failed"),
    row("last", null, "earlier-failed"),
  ]
  expect(firstBehindFailed(rows)).toBe("next")
  expect(firstBehindFailed(rows.slice(0, 2))).toBeUndefined()
})
