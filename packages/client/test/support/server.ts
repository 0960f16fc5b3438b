/** A small server for tests that implements the contract: the store and the use cases, without a transport. */
import { excerptOf } from "../../src/fold.js"
import type { MessageAction } from "../../src/options.js"
import type {
  Conversation,
  LogEntry,
  Message,
  Presence,
  PresenceChange,
  Refusal,
  User,
} from "../../src/wire.js"
import { groupRoute, groupView, type StoredGroup } from "./groups.js"
import { actionOf, eventOf, foldAll, isMessage, unchanged } from "./writes.js"

/** A socket as the server sees it. */
export interface Peer {
  id: string
  userId: string | null
  /** The token it was opened with. */
  token?: string | undefined
  roster: string
  watches: Set<string>
  send(event: string, payload: unknown): void
  /** Cuts the transport. */
  cut(): void
}

export interface StoredConversation {
  id: string
  group?: StoredGroup
  members: string[]
  log: LogEntry[]
  /** By the sender and the client's id: what was asked, and the `seq` of what it made. */
  keys: Map<string, { asked: string; seq: number }>
  read: Map<string, number>
  delivered: Map<string, number>
  /** The settings of each member. */
  settings: Map<string, { mutedUntil?: string; archived?: boolean; pinned?: boolean }>
  createdAt: string
  /** Where its newest entry stands among all of the store's; without one, the newest entry of when it was made. */
  position: number
  firstSeq: number
}

/** From where a client asks for what follows. */
type Position = number | { seq: number; id: string }

type Body = Record<string, unknown>
type Reply = { success: true; [key: string]: unknown } | Refusal

export const refusal = (code: Refusal["code"], retryable = false, extra: Partial<Refusal> = {}): Refusal => ({
  success: false,
  error: `Refused: ${code}.`,
  code,
  retryable,
  ...extra,
})

/** The user of a token, as the server reads it. */
function subject(token = ""): string {
  const claims = Buffer.from(token.split(".")[1] ?? "", "base64url").toString()
  // The digits of a number are taken as they are.
  return /"sub":"?(.*?)"?[,}]/.exec(claims)?.[1] ?? ""
}

export class TestServer {
  users = new Map<string, User>()
  conversations = new Map<string, StoredConversation>()
  peers = new Set<Peer>()
  presence = new Map<string, Presence>()
  lastSeen = new Map<string, string>()
  version = 0
  ids = 0
  /** The generation of the store. */
  generation = "first"
  /** How many messages a page is cut to, as one is that would be too large. */
  mostMessages = 1_000
  /** How many entries the answer to a reset holds at most. */
  mostReset = 50
  /** How many conversations a page of the list has. */
  listPage = 1_000
  /** The most files of one answer. */
  filesPage = 200
  /** `local`: the user of the session's cookie. */
  session: string | null = null
  isLocal = false
  /** The answer of `GET /api/auth`; null: an older server, which has no such route. */
  auth: "local" | "jwt" | "open" | null = "local"
  /** Whether pages of history hold messages as they are now; false: entries of all kinds, as before there were kinds. */
  folds = true
  /** The registration setting in answers; older servers send none. */
  registration: "open" | "closed" | undefined
  tokens = new Map<string, string>()
  /** Whom each user has blocked. */
  blocks = new Map<string, Set<string>>()
  /** The groups by their maker and the maker's id. */
  made = new Map<string, string>()
  /** In a group with more members, a change sends only its entry. */
  mostTold = 100
  now: () => number
  /** All received events and requests. */
  seen: { wire: "socket" | "http"; what: string; body: Body; user: string | null }[] = []
  /** Answers a refusal instead, when it returns one. */
  refuse: (what: string, body: Body) => Refusal | undefined = () => undefined

  constructor(now: () => number = Date.now) {
    this.now = now
  }

  addUser(id: string, name = id): User {
    const user = { id, name, avatarUrl: null }
    this.users.set(id, user)
    return user
  }

  addConversation(id: string, ...members: string[]): StoredConversation {
    for (const member of members) if (!this.users.has(member)) this.addUser(member)
    const stored: StoredConversation = {
      id,
      members,
      log: [],
      keys: new Map(),
      read: new Map(),
      delivered: new Map(),
      settings: new Map(),
      createdAt: this.time(),
      position: this.ids,
      firstSeq: 1,
    }
    this.conversations.set(id, stored)
    return stored
  }

  /** A copy of the current state, to restore later. */
  backup(): Map<string, StoredConversation> {
    return structuredClone(this.conversations)
  }

  /** Goes back in time: restarts from a backup, or, without another generation, from a file that was copied. */
  restore(backup: Map<string, StoredConversation>, generation = this.generation): void {
    for (const peer of [...this.peers]) peer.cut()
    this.conversations = structuredClone(backup)
    this.generation = generation
  }

  time = () => new Date(this.now()).toISOString()

  /** Stores a message without an event, as if the client were disconnected. */
  store(
    conversationId: string,
    senderId: string,
    content: string,
    clientMessageId?: string,
    extras: Pick<Message, "replyTo" | "mentions" | "attachments"> = {},
  ): Message {
    const stored = this.conversations.get(conversationId) as StoredConversation
    const seq = stored.log.length + 1
    const message: Message = {
      id: `${conversationId}.${seq}.${++this.ids}`,
      kind: "message",
      conversationId,
      seq,
      senderId,
      content,
      createdAt: this.time(),
      ...(clientMessageId ? { clientMessageId } : {}),
      ...extras,
    }
    stored.log.push(message)
    stored.position = this.ids
    stored.read.set(senderId, seq)
    for (const [member, settings] of stored.settings) {
      if (!settings.archived || this.isMuted(stored, member)) continue
      delete settings.archived
      this.tellDevices(stored, member)
    }
    return message
  }

  /** Stores a change of a message without an event. */
  change(
    conversationId: string,
    senderId: string,
    messageId: string,
    action: MessageAction,
    own = {},
  ): LogEntry {
    const stored = this.conversations.get(conversationId) as StoredConversation
    const seq = stored.log.length + 1
    const id = `${conversationId}.${seq}.${++this.ids}`
    const messageSeq = stored.log.find((entry) => entry.id === messageId)?.seq ?? 0
    const place = { id, conversationId, seq, senderId, createdAt: this.time(), ...own }
    stored.log.push({ ...place, messageId, messageSeq, ...action })
    if (action.kind === "delete")
      stored.log = stored.log.map((entry) => {
        const isErased = isMessage(entry)
          ? entry.id === messageId
          : "messageId" in entry && entry.messageId === messageId
        return isErased && "content" in entry ? ({ ...entry, content: "" } as LogEntry) : entry
      })
    return stored.log.at(-1) as LogEntry
  }

  /** Stores and delivers a change of a message. */
  act(conversationId: string, senderId: string, messageId: string, action: MessageAction): LogEntry {
    const entry = this.change(conversationId, senderId, messageId, action)
    this.tellOf(entry)
    return entry
  }

  /** Delivers a change of a message. A deletion may change the unread count or the last message. */
  tellOf(entry: LogEntry, exceptSocket?: string): void {
    this.deliver(entry, exceptSocket, "conversation_entry")
    const stored = this.conversations.get(entry.conversationId) as StoredConversation
    if (entry.kind !== "delete") return
    for (const peer of this.peers)
      if (peer.userId && stored.members.includes(peer.userId))
        peer.send("conversation_updated", this.view(stored, peer.userId))
  }

  /** Stores an entry of another kind, like a server of a later version, without an event. */
  storeOther(conversationId: string, senderId: string | null = "asha", kind = "reaction"): LogEntry {
    const stored = this.conversations.get(conversationId) as StoredConversation
    const seq = stored.log.length + 1
    const id = `${conversationId}.${seq}.${++this.ids}`
    const entry = { id, kind, conversationId, seq, senderId, createdAt: this.time() }
    stored.log.push(entry)
    return entry
  }

  /** Stores and delivers a message of a user. */
  say(conversationId: string, senderId: string, content: string): Message {
    const message = this.store(conversationId, senderId, content)
    this.deliver(message)
    return message
  }

  deliver(entry: LogEntry, exceptSocket?: string, event = "new_private_message"): void {
    const stored = this.conversations.get(entry.conversationId) as StoredConversation
    for (const peer of this.peers) {
      if (peer.userId && stored.members.includes(peer.userId) && peer.id !== exceptSocket) {
        peer.send(event, entry)
      }
    }
  }

  toMembers(conversationId: string, event: string, payload: unknown, exceptUser?: string): void {
    const stored = this.conversations.get(conversationId) as StoredConversation
    for (const peer of this.peers) {
      if (peer.userId && peer.userId !== exceptUser && stored.members.includes(peer.userId))
        peer.send(event, payload)
    }
  }

  isMuted(stored: StoredConversation, me: string): boolean {
    return Date.parse(stored.settings.get(me)?.mutedUntil ?? "") > this.now()
  }

  tellDevices(stored: StoredConversation, me: string): void {
    for (const peer of this.peers)
      if (peer.userId === me) peer.send("conversation_updated", this.view(stored, me))
  }

  /** `set_conversation_settings`. */
  set(user: string, body: Body): Reply {
    const stored = this.stored(user, String(body.conversationId))
    if (!stored) return refusal("not_found")
    const { conversationId: _, ...change } = body
    const next = Object.entries({ ...stored.settings.get(user), ...change }).filter(([, value]) => value)
    stored.settings.set(user, Object.fromEntries(next))
    this.tellDevices(stored, user)
    return { success: true, conversation: this.view(stored, user), created: false }
  }

  /** The unread total over conversations that count. */
  totalUnread(user: string): number {
    const mine = [...this.conversations.values()].filter((stored) => stored.members.includes(user))
    const counted = mine.filter(
      (stored) => !stored.settings.get(user)?.archived && !this.isMuted(stored, user),
    )
    return counted.reduce((sum, stored) => sum + this.view(stored, user).unread, 0)
  }

  view(stored: StoredConversation, me: string): Conversation {
    const readSeq = stored.read.get(me) ?? 0
    const messages = foldAll(stored.log, me).filter((message) => !message.deletedAt)
    return {
      id: stored.id,
      ...groupView(stored, me),
      members: stored.members.map((id) => this.users.get(id) as User),
      lastMessage: messages.at(-1) ?? null,
      unread: messages.filter((entry) => entry.seq > readSeq && entry.senderId !== me).length,
      headSeq: stored.log.length,
      readSeq,
      ...stored.settings.get(me),
      createdAt: stored.createdAt,
    }
  }

  // Presence

  come(userId: string, change: Partial<Presence> = {}): void {
    const isNew = !this.presence.has(userId)
    const presence: Presence = {
      userId,
      user: this.users.get(userId) ?? this.addUser(userId),
      status: "online",
      lastActiveAt: this.time(),
      ...change,
      version: ++this.version,
    }
    this.presence.set(userId, presence)
    this.tell({ type: isNew ? "online" : "updated", ...presence })
  }

  go(userId: string): void {
    if (!this.presence.delete(userId)) return
    const lastSeenAt = this.time()
    this.lastSeen.set(userId, lastSeenAt)
    this.tell({ type: "offline", userId, lastSeenAt, reason: "closed", version: ++this.version })
  }

  tell(change: PresenceChange): void {
    const { type, ...payload } = change
    for (const peer of this.peers) {
      if (!peer.userId) continue
      if (peer.roster === "full") peer.send(`user_${type}`, payload)
      else if (peer.roster === "diff" || peer.watches.has(change.userId)) {
        peer.send("presence_changes", { changes: [change], version: this.version })
      }
    }
  }

  snapshot() {
    const users = [...this.presence.values()]
    return { users, count: users.length, truncated: false, version: this.version }
  }

  // The two wires

  connect(peer: Peer): void {
    this.peers.add(peer)
  }

  disconnect(peer: Peer): void {
    this.peers.delete(peer)
    if (peer.userId && ![...this.peers].some((other) => other.userId === peer.userId)) this.go(peer.userId)
  }

  onSocket(peer: Peer, event: string, body: Body): Reply {
    this.seen.push({ wire: "socket", what: event, body, user: peer.userId })
    const refused = this.refuse(event, body)
    if (refused) return refused
    if (event === "join_user") {
      const userId = String(body.userId ?? this.tokens.get(`Bearer ${peer.token}`) ?? subject(peer.token))
      if (this.session !== null && this.session !== userId) return refusal("unauthenticated")
      if (!this.users.has(userId)) this.addUser(userId, String(body.name ?? userId))
      peer.userId = userId
      peer.roster = String(body.roster ?? "full")
      this.come(userId)
      if (peer.roster === "full" || peer.roster === "diff") peer.send("online_users", this.snapshot())
      return {
        success: true,
        user: this.users.get(userId),
        sessionId: peer.id,
        roster: peer.roster,
        store: this.generation,
      }
    }
    if (!peer.userId) return refusal("unauthenticated")
    switch (event) {
      case "watch_presence": {
        const ids = body.userIds as string[]
        for (const id of ids) peer.watches.add(id)
        return { success: true, users: ids.map((id) => this.presence.get(id) ?? this.absence(id)) }
      }
      case "unwatch_presence":
        for (const id of body.userIds as string[]) peer.watches.delete(id)
        return { success: true }
      case "typing": {
        const payload = {
          ...body,
          userId: peer.userId,
          expiresAt: new Date(this.now() + 6_000).toISOString(),
        }
        this.toMembers(String(body.conversationId), "typing", payload, peer.userId)
        return { success: true }
      }
      case "set_status":
        this.come(peer.userId, { status: body.status as Presence["status"] })
        return { success: true, status: body }
      case "sync":
        return this.sync(peer.userId, body.conversations as Record<string, Position>)
      case "mark_read":
        return this.mark(peer.userId, String(body.conversationId), Number(body.seq))
      case "send_private_message":
        return this.send(peer.userId, body, peer.id)
      case "set_conversation_settings":
        return this.set(peer.userId, body)
      case "authenticate":
        return { success: true, expiresAt: this.time() }
      default: {
        const action = actionOf(event, body)
        return action ? this.write(peer.userId, body, action, peer.id) : { success: true }
      }
    }
  }

  onHttp(
    method: string,
    path: string,
    body: Body,
    headers: Record<string, string>,
  ): { status: number; reply: Reply } {
    const url = new URL(path, "http://test")
    const said = headers["x-user-id"]
    const claimed = said === undefined ? undefined : decodeURIComponent(said)
    const proved = this.isLocal ? this.session : this.tokens.get(headers.authorization ?? "")
    const isOther = claimed !== undefined && claimed !== proved
    const user = this.isLocal || proved ? (isOther ? null : (proved ?? null)) : (claimed ?? null)
    this.seen.push({ wire: "http", what: `${method} ${path}`, body, user })
    const reply =
      this.refuse(`${method} ${url.pathname}`, body) ?? this.route(method, url, body, user, headers)
    const statuses: Record<string, number> = {
      unauthenticated: 401,
      not_found: 404,
      unavailable: 503,
      rate_limited: 429,
    }
    return { status: reply.success ? 200 : (statuses[reply.code] ?? 400), reply }
  }

  route(method: string, url: URL, body: Body, user: string | null, headers: Record<string, string>): Reply {
    const at = `${method} ${url.pathname}`
    if (at === "POST /api/auth/login" || at === "POST /api/auth/register") {
      if (body.password === "wrong") return refusal("unauthenticated")
      this.isLocal = true
      this.session = String(body.username)
      if (!this.users.has(this.session)) this.addUser(this.session)
      return { success: true, user: this.users.get(this.session), token: "t" }
    }
    if (at === "POST /api/auth/logout" || at === "POST /api/auth/logout-all") {
      this.session = null
      return { success: true }
    }
    if (at === "GET /api/auth") {
      const { auth, registration } = this
      if (!auth) return refusal("not_found")
      if (auth !== "local") return { success: true, auth, user: null }
      const known = (user && this.users.get(user)) || null
      return { success: true, auth, user: known, ...(registration && { registration }) }
    }
    if (at === "GET /api/auth/session") {
      const { registration } = this
      const known = user && { success: true as const, user: this.users.get(user), token: "t" }
      return { ...(known || refusal("unauthenticated")), ...(registration && { registration }) }
    }
    if (!user) return refusal("unauthenticated")
    if (at === "POST /api/auth/password")
      return body.current === "wrong" ? refusal("forbidden") : { success: true }
    if (at === "DELETE /api/account") {
      if (body.password === "wrong") return refusal("forbidden")
      this.session = null
      return { success: true }
    }
    if (at === "PATCH /api/account") {
      const changed = { ...(this.users.get(user) as User), ...body }
      this.users.set(user, changed)
      return { success: true, user: changed }
    }
    if (at === "GET /api/privatechat/search") return this.search(user, url.searchParams)
    const group = groupRoute(this, method, url, body, user)
    if (group) return group
    if (at === "GET /api/users") return { success: true, data: [...this.users.values()] }
    if (at === "GET /api/privatechat/conversations") {
      const chosen = (["archived", "pinned"] as const).filter((name) => url.searchParams.get(name) === "true")
      const mine = this.newestFirst(user).filter((stored) =>
        chosen.every((name) => stored.settings.get(user)?.[name]),
      )
      const made = [...this.conversations.values()]
      const isBefore = (stored: StoredConversation, [position = 0, at = 0]: number[]) =>
        stored.position < position || (stored.position === position && made.indexOf(stored) < at)
      const cursor = url.searchParams.get("cursor")?.split(":").map(Number)
      const rest = cursor ? mine.filter((stored) => isBefore(stored, cursor)) : mine
      const page = rest.slice(0, this.listPage)
      const last = page.at(-1)
      const next =
        last && page.length < rest.length ? { nextCursor: `${last.position}:${made.indexOf(last)}` } : {}
      const data = page.map((stored) => this.view(stored, user))
      return {
        success: true,
        data,
        totalUnread: this.totalUnread(user),
        store: this.generation,
        ...next,
      }
    }
    const place = /^GET \/api\/privatechat\/conversations\/(.+)\/(pins|seq|files)$/.exec(at)
    if (place) {
      const stored = this.stored(user, decodeURIComponent(place[1] as string))
      if (!stored) return refusal("not_found")
      if (place[2] === "files") return this.listFiles(user, stored, url.searchParams)
      const at = Date.parse(url.searchParams.get("at") ?? "")
      const entry = stored.log.find(({ createdAt }) => Date.parse(createdAt) >= at) ?? stored.log.at(-1)
      if (place[2] === "seq") return { success: true, seq: entry?.seq ?? 0, store: this.generation }
      const before = Number(url.searchParams.get("before") ?? Number.POSITIVE_INFINITY)
      const data = foldAll(stored.log, user).filter(({ pinnedAt, seq }) => pinnedAt && seq < before)
      return { success: true, data: data.slice(-2), hasMore: data.length > 2, store: this.generation }
    }
    const setting = /^PUT \/api\/privatechat\/conversations\/(.+)\/settings$/.exec(at)
    if (setting) return this.set(user, { ...body, conversationId: decodeURIComponent(setting[1] as string) })
    if (at === "POST /api/privatechat/conversations") {
      const other = String(body.userId)
      const found = [...this.conversations.values()].find(
        (stored) => stored.members.includes(user) && stored.members.includes(other),
      )
      return {
        success: true,
        conversation: this.view(found ?? this.addConversation(`${user}+${other}`, user, other), user),
      }
    }
    const written = eventOf(method, url.pathname, body)
    const action = written && actionOf(written.event, written.body)
    if (action) return this.write(user, written.body, action, headers["x-socket-id"])
    if (at === "POST /api/privatechat/message") return this.send(user, body, headers["x-socket-id"])
    const read = /^POST \/api\/privatechat\/conversations\/(.+)\/read$/.exec(at)
    if (read) return this.mark(user, decodeURIComponent(read[1] as string), Number(body.seq))
    const history = /^GET \/api\/privatechat\/messages\/(.+)$/.exec(at)
    if (history) return this.history(user, decodeURIComponent(history[1] as string), url.searchParams)
    return refusal("not_found")
  }

  /** Messages that contain the words, newest first; pages of `limit` messages, those that match and those that do not. */
  search(user: string, params: URLSearchParams): Reply {
    const text = String(params.get("query")).toLowerCase()
    const limit = Number(params.get("limit") ?? 20)
    const all = [...this.conversations.values()]
      .filter(
        ({ id, members }) => members.includes(user) && [null, id].includes(params.get("conversationId")),
      )
      .flatMap(({ log }) => foldAll(log, user))
      .sort((one, other) => Number(other.id.split(".")[2]) - Number(one.id.split(".")[2]))
    const from = Number(params.get("cursor") ?? 0)
    const data = all.slice(from, from + limit).flatMap((message) => {
      const start = message.content.toLowerCase().indexOf(text)
      return start < 0 ? [] : [{ message, highlights: [[start, start + text.length]] }]
    })
    const next = from + limit < all.length ? { nextCursor: String(from + limit) } : {}
    return { success: true, data, ...next, store: this.generation }
  }

  /** The files of messages, newest first; of another type than the kind, a page can have none. */
  listFiles(user: string, { log }: StoredConversation, params: URLSearchParams): Reply {
    const limit = Math.min(Number(params.get("limit") ?? 50), this.filesPage)
    const all = [...foldAll(log, user)]
      .reverse()
      .filter(({ deletedAt }) => !deletedAt)
      .flatMap(({ attachments = [], id: messageId, seq, senderId, createdAt }) =>
        attachments.map((file) => ({ file, messageId, seq, senderId, createdAt })),
      )
    const before = Number(params.get("cursor") ?? Number.POSITIVE_INFINITY)
    const page = all.filter(({ seq }) => seq < before).slice(0, limit)
    const last = page.at(-1)
    const next = last && all.at(-1) !== last ? { nextCursor: String(last.seq) } : {}
    const kind = params.get("kind")
    const data = page.filter(
      ({ file }) => !kind || kind.includes(file.type.startsWith("image/") ? "media" : "document"),
    )
    const users = [...new Set(data.map(({ senderId }) => senderId))]
      .map((id) => this.users.get(id))
      .filter((one) => one?.id.startsWith("former"))
    return { success: true, data, users, ...next, asOfSeq: log.length, store: this.generation }
  }

  /** The conversations of a user, newest first. */
  newestFirst(user: string): StoredConversation[] {
    const mine = [...this.conversations.values()].filter((stored) => stored.members.includes(user)).reverse()
    return mine.sort((one, other) => other.position - one.position)
  }

  absence(userId: string) {
    return { userId, status: "offline", lastSeenAt: this.lastSeen.get(userId) ?? null, version: this.version }
  }

  stored(user: string, id: string): StoredConversation | null {
    const stored = this.conversations.get(id)
    return stored?.members.includes(user) ? stored : null
  }

  send(user: string, body: Body, socketId?: string): Reply {
    const stored = this.stored(user, String(body.conversationId))
    if (!stored) return refusal("not_found")
    const isBlocked = stored.members.some(
      (one) => this.blocks.get(one)?.has(user) || this.blocks.get(user)?.has(one),
    )
    if (!stored.group && isBlocked) return refusal("forbidden")
    const content = String(body.content)
    const id = body.clientMessageId as string | undefined
    const asked = JSON.stringify([content, body.replyTo ?? null])
    const known = id === undefined ? undefined : stored.keys.get(`${user}/${id}`)
    if (known) {
      const message = foldAll(stored.log, user).find(({ seq }) => seq === known.seq)
      const entry = stored.log[known.seq - 1]
      return known.asked === asked ? { success: true, message, entry, duplicate: true } : refusal("conflict")
    }
    const quoted = body.replyTo ? foldAll(stored.log, user).find((one) => one.id === body.replyTo) : undefined
    if (body.replyTo && !quoted) return refusal("invalid")
    const message = this.store(stored.id, user, content, id, {
      ...(quoted && {
        replyTo: {
          id: quoted.id,
          seq: quoted.seq,
          senderId: quoted.senderId,
          excerpt: excerptOf(quoted.content),
        },
      }),
      ...(body.mentions ? { mentions: body.mentions as string[] } : {}),
    })
    if (id) stored.keys.set(`${user}/${id}`, { asked, seq: message.seq })
    this.deliver(message, socketId)
    return { success: true, message, entry: message, duplicate: false }
  }

  write(user: string, body: Body, action: MessageAction, socketId?: string): Reply {
    const stored = this.stored(user, String(body.conversationId))
    if (!stored) return refusal("not_found")
    const clientMessageId = body.clientMessageId as string
    const asked = JSON.stringify([body.messageId, action])
    const known = stored.keys.get(`${user}/${clientMessageId}`)
    if (known)
      return known.asked === asked
        ? { success: true, entry: stored.log[known.seq - 1], duplicate: true }
        : refusal("conflict")
    const message = foldAll(stored.log, user).find(({ id }) => id === body.messageId)
    if (!message) return refusal("not_found")
    if ((action.kind === "edit" || action.kind === "delete") && message.senderId !== user)
      return refusal("forbidden")
    const made = unchanged(stored.log, message, user, action)
    if (!made && message.deletedAt) return refusal("not_found")
    const entry = made ?? this.change(stored.id, user, message.id, action, { clientMessageId })
    stored.keys.set(`${user}/${clientMessageId}`, { asked, seq: entry.seq })
    if (!made) this.tellOf(entry, socketId)
    return { success: true, entry, duplicate: !!made }
  }

  mark(user: string, id: string, seq: number): Reply {
    const stored = this.stored(user, id)
    if (!stored) return refusal("not_found")
    stored.read.set(user, Math.max(seq, stored.read.get(user) ?? 0))
    const readSeq = stored.read.get(user) as number
    this.toMembers(id, "receipt", { conversationId: id, userId: user, deliveredSeq: readSeq, readSeq })
    for (const peer of this.peers)
      if (peer.userId === user) peer.send("conversation_updated", this.view(stored, user))
    return { success: true, conversationId: id, readSeq }
  }

  history(user: string, id: string, query: URLSearchParams): Reply {
    const stored = this.stored(user, id)
    if (!stored) return refusal("not_found")
    const limit = Math.min(Number(query.get("limit") ?? 50), this.mostMessages)
    const [before, after, around] = ["before", "after", "around"].map((name) => query.get(name))
    const isFolded = this.folds && query.get("kind") !== "all"
    const all: LogEntry[] = isFolded ? foldAll(stored.log, user) : stored.log
    const there = all.filter((entry) => entry.seq >= stored.firstSeq)
    const head = stored.log.length
    const page = (
      data: LogEntry[],
      more: { hasMore: boolean; hasBefore?: boolean; hasAfter?: boolean },
    ): Reply => {
      const isWholeBefore = !(more.hasBefore ?? (after == null && more.hasMore))
      const isWholeAfter = !(more.hasAfter ?? (after != null && more.hasMore))
      const start = Math.max(stored.firstSeq, after == null ? 1 : Number(after) + 1)
      const end = Math.min(head, before == null ? head : Number(before) - 1)
      const range = {
        fromSeq: isWholeBefore ? start : data[0]?.seq,
        toSeq: isWholeAfter ? end : data.at(-1)?.seq,
        asOfSeq: head,
      }
      return { success: true, data, store: this.generation, ...more, ...(isFolded ? range : {}) }
    }
    if (around != null) {
      // As many on either side; what one side has not, the other may have.
      const at = there.filter((entry) => entry.seq < Number(around)).length
      const begin = Math.max(0, Math.min(at - Math.floor(limit / 2), there.length - limit))
      const data = there.slice(begin, begin + limit)
      const hasAfter = begin + data.length < there.length
      return page(data, { hasMore: begin > 0 || hasAfter, hasBefore: begin > 0, hasAfter })
    }
    if (after != null) {
      const rest = there.filter((entry) => entry.seq > Number(after))
      return page(rest.slice(0, limit), { hasMore: rest.length > limit })
    }
    const rest = there.filter((entry) => before == null || entry.seq < Number(before))
    return page(rest.slice(-limit), { hasMore: rest.length > limit })
  }

  sync(user: string, known: Record<string, Position>): Reply {
    const conversations: Record<string, unknown> = {}
    for (const [id, position] of Object.entries(known)) {
      const stored = this.stored(user, id)
      if (!stored) {
        conversations[id] = refusal("not_found")
        continue
      }
      const { seq, id: entryId } = typeof position === "number" ? { seq: position, id: undefined } : position
      const isOther =
        seq > stored.log.length || (entryId !== undefined && stored.log[seq - 1]?.id !== entryId)
      const there = stored.log.filter((entry) => entry.seq >= stored.firstSeq)
      const rest = there.filter((entry) => entry.seq > seq)
      const entries = isOther ? there.slice(Math.max(0, there.length - this.mostReset)) : rest.slice(0, 200)
      conversations[id] = {
        entries,
        headSeq: stored.log.length,
        readSeq: stored.read.get(user) ?? 0,
        receipts: stored.members.map((userId) => {
          const readSeq = stored.read.get(userId) ?? 0
          return { userId, readSeq, deliveredSeq: readSeq }
        }),
        firstSeq: stored.firstSeq,
        hasMore: isOther ? !entries.length && there.length > 0 : rest.length > entries.length,
        ...(isOther ? { reset: true } : {}),
      }
    }
    const added = this.newestFirst(user).filter((stored) => !(stored.id in known))
    const views = added.map((stored) => this.view(stored, user))
    return { success: true, conversations, added: views, store: this.generation }
  }
}
