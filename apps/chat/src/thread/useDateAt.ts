import type { MessageRow } from "@lamplight/client"
import type { Virtualizer } from "@tanstack/react-virtual"
import { type RefObject, useCallback } from "react"
import type { Row } from "../logic/rows"

/** The floating day covers this much at the upper edge, in pixels. */
const COVERED_PX = 48

/** Tells the day of the row at a distance from the beginning; null where the heading of a day is in view. */
export function useDateAt(
  virtualizer: Virtualizer<HTMLDivElement, HTMLDivElement>,
  rows: RefObject<readonly Row<MessageRow>[]>,
) {
  return useCallback(
    (offset: number): Date | null => {
      const item = virtualizer.getVirtualItemForOffset(offset)
      if (!item) return null
      const last = virtualizer.getVirtualItemForOffset(offset + COVERED_PX)?.index ?? item.index
      for (let i = item.index; i <= last; i += 1) if (rows.current[i]?.kind === "day") return null
      const row = rows.current[last]
      if (row?.kind === "message" || row?.kind === "head") return new Date(row.message.createdAt)
      return row?.kind === "system" ? new Date(row.system.createdAt) : null
    },
    [virtualizer, rows],
  )
}
