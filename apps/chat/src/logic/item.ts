import type { SystemRow } from "@lamplight/client"

/** The part of a message that grouping needs. */
export interface Groupable {
  /** Stays the same from "sending" to "sent", so that a row is never mounted again. */
  key: string
  senderId: string
  createdAt: string
  /** Null until the server has numbered the message. */
  seq: number | null
}

/** A change of a group among the messages of a thread. */
export interface SystemItem extends Groupable {
  system: SystemRow
}

export const isSystem = (item: object): item is SystemItem => "system" in item
