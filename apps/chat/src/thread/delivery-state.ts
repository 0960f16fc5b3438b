import type { MessageRow, ReadersState, User } from "@lamplight/client"
import type { Row } from "../logic/rows"

/** How far one of the user's own messages got; null for other rows and for messages that the server does not have yet. */
export type DeliveryState = "sent" | "delivered" | "read" | null

/** The marks up to which all other members have received and read. */
export function slowestReader(members: readonly User[], selfId: string, readers: ReadersState) {
  const all = members.filter(({ id }) => id !== selfId).map(({ id }) => readers[id])
  if (all.length === 0) return undefined
  return {
    deliveredSeq: Math.min(...all.map((one) => one?.deliveredSeq ?? 0)),
    readSeq: Math.min(...all.map((one) => one?.readSeq ?? 0)),
  }
}

export function deliveryState(
  row: Row<MessageRow>,
  reader: { deliveredSeq: number; readSeq: number } | undefined,
): DeliveryState {
  if (row.kind !== "message" || !row.message.mine || row.message.seq === null) return null
  const { seq } = row.message
  if (reader && seq <= reader.readSeq) return "read"
  return reader && seq <= reader.deliveredSeq ? "delivered" : "sent"
}
