import type { MessageRow } from "@lamplight/client"
import { heightOf } from "../files/layout"
import { linesOf } from "../logic/fold"
import type { Row } from "../logic/rows"

/** A folded message shows so many lines, about. */
const FOLDED_LINES = 22

/** The space before the first row and after the last one, in pixels. */
export const PADDING_START = 24
export const PADDING_END = 16

/** An estimate of a row's height before it is laid out. */
export function estimate(row: Row<MessageRow> | undefined): number {
  switch (row?.kind) {
    case "day":
      return 52
    case "unread":
      return 32
    case "head":
      return row.hasTime ? 40 : 8
    case "start":
      return 60
    case "system":
      return 30
    case "more":
      return 92
    case "message": {
      const { content } = row.message
      const files = row.message.message ? row.message.attachments : row.message.files
      const lines = content === "" && files.length > 0 ? 0 : linesOf(content, FOLDED_LINES)
      return 18 + lines * 23 + (files.length > 0 ? heightOf(files) : 0)
    }
    default:
      return 41
  }
}

/**
 * Where a view of this height begins, in pixels: near the divider if there is one, else near the end. The exact place follows when the
 * rows are measured.
 */
export function startOffset(
  rows: readonly Row<MessageRow>[],
  height: number,
  heightOf: (row: Row<MessageRow>) => number = estimate,
): number {
  let offset = PADDING_START
  for (const row of rows) {
    if (row.kind === "unread") return Math.max(0, offset - 60)
    offset += heightOf(row)
  }
  return Math.max(0, offset + PADDING_END - height)
}

/** How many messages of others follow what has been in view. */
export function countUnseen(rows: readonly MessageRow[], seen: number | null): number {
  if (seen === null) return 0
  let count = 0
  for (let i = rows.length - 1; i >= 0; i -= 1) {
    const row = rows[i]
    if (!row || row.seq === null) continue
    if (row.seq <= seen) break
    if (!row.mine && !row.deletedAt) count += 1
  }
  return count
}
