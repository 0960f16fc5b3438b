import type { MessageRow, Quote, SharedFile } from "@lamplight/client"
import { createContext, useContext } from "react"

/** The thread's actions for rows. The object stays the same, so that rows need not render again. */
export interface ThreadActions {
  reply(row: MessageRow): void
  edit(row: MessageRow): void
  /** Adds a reaction or takes it back. */
  react(row: MessageRow, emoji: string): void
  /** Opens the emoji picker beside an element, to react. */
  pickEmoji(row: MessageRow, anchor: HTMLElement): void
  /** Pins the message, or unpins it. */
  pin(row: MessageRow): void
  copyLink(row: MessageRow): void
  /** Asks first. */
  remove(row: MessageRow): void
  copy(row: MessageRow): void
  /** Opens the viewer; the element takes the focus back. */
  openPicture(file: SharedFile, opener: HTMLElement): void
  /** The text of a quoted message; empty once it is deleted. */
  excerptOf(quote: Quote): string
  /** Shows the message with this `seq`. */
  jump(seq: number): void
  /** Asks for a day, and shows its first message. `from`: the day to begin with. */
  pickDate(anchor: HTMLElement, from: Date): void
  selfId: string
  /** The name of a user, also of the user themself. */
  memberName(userId: string): string
  /** The name of a user, for the user themself "You". */
  nameOf(userId: string): string
}

export const ThreadActionsContext = createContext<ThreadActions | null>(null)

export function useThreadActions(): ThreadActions {
  const actions = useContext(ThreadActionsContext)
  if (!actions) throw new Error("useThreadActions needs a thread above it.")
  return actions
}
