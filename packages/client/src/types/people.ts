/** People: the user of the client, who is online, members and blocks. */
import type { LamplightError } from "../errors.js"
import type { Activity, Auth, Chosen, Member, Registration, Role, User, VisibleStatus } from "../wire.js"
import type { Store } from "./state.js"

/** The user of this client. */
export interface MeState {
  /** `unknown` until the session or the token has been read. */
  status: "unknown" | "signed-out" | "signed-in"
  user: User | null
  /** The status that the user has set, as far as this client knows. */
  chosen: Chosen
  /** The user's activity in this session. */
  activity: Activity | null
  /** How the server authenticates users; null until the session has been loaded. */
  auth: Auth | null
  /** Whether anyone may create an account (`AUTH=local`); `open` until the server has answered. */
  registration: Registration
}

/** A person, online or not. */
export interface PresenceView {
  userId: string
  /** The profile, if it is known. */
  user: User | null
  /** `unknown`: the feed is lost, or has not mentioned the person yet. */
  status: VisibleStatus | "offline" | "unknown"
  text: string | null
  lastActiveAt: string | null
  lastSeenAt: string | null
  activities: readonly Activity[]
}

/** All users who are online. */
export interface RosterState {
  /** `loading` until the first list; `unknown` when the feed has been lost for 5 s. */
  status: "loading" | "live" | "unknown"
  /**
   * The people who are online, by name. While the roster is `unknown` they stay listed, each with the status
   * `unknown`.
   */
  users: readonly PresenceView[]
  /** How many people are online, which may be more than are listed. */
  count: number
  truncated: boolean
}

/** Who is typing. */
export interface TypingState {
  userIds: readonly string[]
}

/** The members of a conversation. */
export interface MembersState {
  /** `loading` until the first page. */
  status: "loading" | "ready" | "error"
  /** The loaded members, in the order of their ids. */
  members: readonly Member[]
  /** The number of members, which may exceed the loaded ones. */
  count: number
  /** The user's own role; null while it is unknown, and in a conversation with one other person. */
  role: Role | null
  hasMore: boolean
  loadingMore: boolean
  error: LamplightError | null
}

/**
 * The members of a conversation, up to date while the store has a subscriber, and the actions on them. A change without
 * an answer is repeated under the same id before it throws a `LamplightError`.
 */
export interface Members extends Store<MembersState> {
  /** Loads the next page. Safe to call twice. */
  loadMore(): Promise<void>
  /** Loads again after an `error`. */
  reload(): Promise<void>
  /** Adds people to the group, as one of its admins. */
  add(userIds: readonly string[]): Promise<void>
  /** Removes a member, as one of the admins. */
  remove(userId: string): Promise<void>
  /** Gives a member another role, as one of the owners. */
  setRole(userId: string, role: Role): Promise<void>
  /** Leaves the group. If the last owner leaves, the longest-standing admin, or else member, becomes owner. */
  leave(): Promise<void>
}

/** The users whom the user has blocked. */
export interface BlocksState {
  /** `loading` until the list is complete. */
  status: "loading" | "ready" | "error"
  /** Sorted by name. */
  users: readonly User[]
  error: LamplightError | null
}

/**
 * The users whom the user has blocked, loaded with the first subscriber, and the actions to block and unblock. Blocked
 * users are not notified.
 */
export interface Blocks extends Store<BlocksState> {
  /**
   * Blocks a user: neither of the two can send to the other or start a conversation with the other. Idempotent.
   */
  block(userId: string): Promise<void>
  /** Unblocks a user. Idempotent. */
  unblock(userId: string): Promise<void>
  /** Loads the list again, for example after an `error`. */
  reload(): Promise<void>
}
