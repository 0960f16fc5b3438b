/** The list of conversations, and one conversation with its actions. */
import type { LamplightError } from "../errors.js"
import type { Conversation, Receipt, User } from "../wire.js"
import type { MessagesState, PinnedPage, SendOptions } from "./messages.js"
import type { SendResult, WriteResult } from "./outbox.js"
import type { TypingState } from "./people.js"
import type { Store } from "./state.js"

/** A conversation and the other person in it. Settings include changes that are not sent yet. */
export interface ConversationInfo extends Conversation {
  /** Whether it is muted now. */
  muted: boolean
  /** The other member of a conversation of two; null in a group. */
  other: User | null
}

/** A conversation in the list. */
export interface ConversationItem extends ConversationInfo {
  /** The unsent text in its composer. */
  draft: string
  /** How many messages wait to be sent. Changes of messages do not count. */
  waiting: number
  /** How many messages failed: the user has to retry, edit or discard them. */
  failed: number
}

/** The list of conversations. */
export interface ConversationsState {
  /** `loading` before the first answer; `error` if there has been none and the last attempt failed. */
  status: "loading" | "ready" | "error"
  /**
   * The conversations that are not archived: pinned ones first, then the others, each group sorted by its newest
   * message.
   */
  items: readonly ConversationItem[]
  /** The archived conversations that are loaded, sorted by newest message. */
  archived: readonly ConversationItem[]
  hasMore: boolean
  loadingMore: boolean
  error: LamplightError | null
}

/** Unread messages. */
export interface UnreadState {
  /** The sum over all conversations that are neither muted nor archived, loaded or not. */
  total: number
  /** The unread messages of each loaded conversation, including muted and archived ones. */
  byConversation: Readonly<Record<string, number>>
}

/** The delivered and read marks of the other members, by user id. */
export type ReadersState = Readonly<Record<string, Receipt>>

/** Changes of the user's settings of a conversation. Omitted fields stay unchanged. */
export interface SettingsChange {
  /** RFC 3339. A muted conversation makes no sound and does not count in `unread.total`. Null ends the mute. */
  mutedUntil?: string | null
  /** A new message unarchives the conversation, unless it is muted. */
  archived?: boolean
  pinned?: boolean
}

/** One conversation. The same id returns the same object. */
export interface ConversationHandle {
  readonly id: string
  readonly messages: Store<MessagesState>
  readonly typing: Store<TypingState>
  readonly draft: Store<string>
  readonly readers: Store<ReadersState>
  /** The conversation's item in the list; null if it is not loaded. Typing does not change it. */
  readonly item: Store<ConversationInfo | null>
  /**
   * Opens the conversation: loads the newest messages, joins it on the server, and keeps it up to date, over
   * HTTP while there is no socket. Calls are counted; call the returned function when the conversation is no
   * longer visible.
   */
  open(): () => void
  /** Loads an older page. Safe to call twice. */
  loadOlder(): Promise<void>
  /** Loads a newer page, after a jump into the past. Safe to call twice. */
  loadNewer(): Promise<void>
  /**
   * Shows the messages around a `seq`, in one request, however far away it is. Resolves when they are in
   * `messages.rows`. Messages that arrive meanwhile do not move them. `loadOlder` and `loadNewer` continue
   * from there; sending leads back to the newest messages.
   */
  jumpTo(seq: number): Promise<void>
  /**
   * The `seq` of the first entry that is not older than a time, or else of the newest one, for `jumpTo`; 0 if there is none.
   * Throws `LamplightError`.
   */
  seqAt(time: Date | string): Promise<number>
  /**
   * The pinned messages as they are now, wherever they are in the log, oldest first; with `before` only those with a smaller
   * `seq`. Rows that are loaded know better, since they change with the log. Throws `LamplightError`.
   */
  pinned(before?: number): Promise<PinnedPage>
  /**
   * Reports where the user reads. With `isAbove`, the user has scrolled up: the rows around `seq`, a message in view,
   * stay even if many messages arrive (without `seq`, the rows that were loaded last). Otherwise new messages may
   * replace the rows if they would leave a gap. The client holds about 2,000 rows; `loadOlder` and `loadNewer` load
   * dropped ones again.
   */
  stay(isAbove: boolean, seq?: number): void
  /** Shows the newest messages again. */
  jumpToNewest(): Promise<void>
  /** Loads again after an `error`. */
  reload(): Promise<void>
  /**
   * Puts a message into the outbox. Resolves when the message is stored and shown; the `state` of its row
   * shows when it is sent. Clears the draft if it still has the same text.
   */
  send(content: string, options?: SendOptions): Promise<SendResult>
  /**
   * Changes the text of one of the user's messages. This and the following changes are shown at once, sent in order
   * after the message, and survive a reload. A refused change is undone and stays in the outbox as `failed`. `id` is
   * the message's id, or the `clientMessageId` of an unsent message.
   */
  edit(id: string, content: string, options?: Pick<SendOptions, "mentions">): Promise<SendResult>
  /** Deletes a message for everyone. An unsent one is not sent. */
  remove(id: string): Promise<WriteResult>
  /** Adds or removes a reaction; without `added`, toggles it. */
  react(id: string, emoji: string, added?: boolean): Promise<WriteResult>
  /** Pins a message, or unpins it. */
  pin(id: string, pinned?: boolean): Promise<WriteResult>
  /**
   * Sends a typing event, throttled. Call it with each keystroke, and with `false` when the user leaves the
   * composer.
   */
  setTyping(isTyping: boolean): void
  /**
   * Saves the composer's text; it survives switching conversations and reloads, and is shared
   * between tabs.
   */
  setDraft(text: string): void
  /**
   * Mutes, archives or pins the conversation on all of the user's devices. The change is shown at once, repeated until
   * the server has answered, and survives a reload. Resolves with the answer; a refusal undoes the change. The code
   * that sends changes is loaded with the first one: pass an empty change to load it early, for example when a menu
   * opens, so that later changes work offline.
   */
  setSettings(change: SettingsChange): Promise<WriteResult>
  /** Moves the read mark, never back; without a `seq`, to the newest entry shown. */
  markRead(seq?: number): void
}
