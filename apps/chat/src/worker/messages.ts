/** What the page and its service worker say to each other. */

/** A message that somebody is notified of. Without its content there are ids only. */
export interface Notice {
  conversationId: string
  messageId: string
  seq: number
  senderId: string
  senderName?: string | undefined
  /** The name of a group. */
  conversationName?: string | undefined
  text?: string | undefined
  avatarUrl?: string | null | undefined
  attachment?: { type: string; name: string } | null | undefined
  /** RFC 3339. */
  createdAt: string
  /** The unread messages of all conversations. */
  unread?: number | undefined
}

/** A conversation without unread messages up to a `seq`. */
export interface Read {
  conversationId: string
  upTo: number
}

/** The person whose messages this device is notified of. */
export interface Owner {
  userId: string
  /** Whether the cookie identifies the person: then the worker can subscribe anew without a page. */
  hasCookie: boolean
  /** Whether notifications show what was written. */
  content: boolean
}

export type ToWorker =
  /** Answered through the port with the version of the worker's build. */
  | { type: "version" }
  | { type: "owner"; owner: Owner }
  /** The language of notifications; null: the system's. */
  | { type: "language"; language: string | null }
  /** Signed out: nothing of this person is shown any more. */
  | { type: "forget" }
  /** A message arrived in an open page: shown like one that was pushed, and not a second time. */
  | { type: "notify"; notice: Notice }
  /** Answered through the port with the tags of the notifications that are shown: ids of conversations, mostly. */
  | { type: "shown" }
  /** The notifications of these conversations are closed, except those that list a newer message. */
  | { type: "close"; read: Read[] }

export type ToPage =
  /** Answered through the port with the id of the conversation that the user looks at in this window, or null. */
  | { type: "looking" }
  /** A notification was pressed. */
  | { type: "open"; conversationId: string; seq: number }

/** The path of the page, which is the scope of the worker. */
export const PAGE = "/chat"
/** The name of the cache of a build, and of the lock that its pages hold. */
export const cacheOf = (version: string): string => `lamplight-build-${version}`
