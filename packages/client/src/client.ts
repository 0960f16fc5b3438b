import { createAccount, SESSION } from "./account.js"
import { createCatchUp } from "./catch-up.js"
import { createConnection } from "./connection.js"
import type { Core, TabMessage } from "./core.js"
import { browserChannel, browserEnvironment, browserLock, randomId, systemClock } from "./defaults.js"
import { createDrafts } from "./drafts.js"
import { type ErrorDetails, LamplightError, toError, Unauthorized } from "./errors.js"
import { createGeneration } from "./generation.js"
import { createHttp, encodeId, query } from "./http.js"
import { createIdentity, tokenPart } from "./identity.js"
import { createList } from "./list.js"
import { hasGap, isMessage } from "./log.js"
import { createMarks } from "./marks.js"
import type { Channel, ClientStorage, LamplightOptions } from "./options.js"
import { createOutbox } from "./outbox.js"
import { createPeople } from "./people.js"
import { createPoll } from "./poll.js"
import { createSafeStorage } from "./safe-storage.js"
import { openSocket } from "./socket.js"
import { indexedDbStorage, memoryStorage } from "./storage.js"
import { inBackground } from "./store.js"
import { createThread, type Thread } from "./thread.js"
import type { Lamplight, SendResult } from "./types.js"
import type {
  Chosen,
  Conversation,
  JoinAnswer,
  LogEntry,
  Message,
  OfStore,
  PageAnswer,
  PresenceChange,
  SessionAnswer,
  User,
} from "./wire.js"

/** Where one says who one is, or asks. */
const AUTH_PATHS = /auth\/(session|register|login)/

const anotherUser = () =>
  new LamplightError({ code: "conflict", message: "Another person has signed in.", retryable: false })

/** What never connected is looked into at the second try in vain, and again at every tenth. */
const EXPLAIN_EVERY = 10

/** A read that the server puts off for longer than this fails at once. */
const MAX_PAUSE_MS = 5_000

interface Written {
  conversationId: string
  content: string
}

/** The server's data does not go back in time more often than this. */
const CHANGE_MS = 10_000

/** How many clients of this page are in use, by server: for the doctor, since more than one is most often a mistake. */
const openClients = new Map<string, number>()

/**
 * Makes a client. Nothing is connected, opened or listened to until it is retained, so it may be made while rendering on
 * a server.
 */
export function createLamplight(options: LamplightOptions = {}): Lamplight {
  const url = (options.url ?? "").replace(/\/$/, "")
  const path = (options.path ?? "/api/socketio").replace(/^\/?(.*?)\/?$/, "/$1")
  const roster = options.roster ?? "diff"
  const clock = options.clock ?? systemClock
  const random = options.random ?? Math.random
  const environment = options.surroundings ?? browserEnvironment(clock)
  const scope = url || "own"
  const fetcher: typeof fetch = options.fetch ?? ((...request) => fetch(...request))
  /** An address that cannot be one is refused here: it would lead to the page's own server, or to two places. */
  const isMisplaced = () =>
    url ? !/^https?:\/\/[^/?#]+$/i.test(url) : !options.fetch && typeof location === "undefined"
  function checkUrl(): void {
    if (isMisplaced())
      throw new LamplightError({
        code: "LL-117",
        message: `This is no address of a server: "${url}".`,
        retryable: false,
      })
  }
  const identity = createIdentity(options, clock, onToken)
  const http = createHttp({
    url,
    clock,
    fetch: fetcher,
    credentials: identity.cookies ? "include" : "same-origin",
    async headers(path, refused) {
      checkUrl()
      const id = account.id()
      const isAuthPath = AUTH_PATHS.test(path)
      const { status, error } = connection.state.get()
      // Nothing is tried again by itself, and no token asked for, until `connect()` is called.
      if (status === "refused" && error && !identity.cookies) throw error
      const who = await identity.headers(refused)
      if (identity.cookies) {
        if (!id || isAuthPath) return who
        // A cookie is the browser's, and in another tab somebody else may have signed in since: what is asked for in this person's name
        // must not be done in another's.
        if (who) return { "x-user-id": encodeId(id) }
        inBackground(recheck(id))
        return null
      }
      if (id && id !== account.id()) throw anotherUser()
      return who && id && options.getToken ? { ...who, "x-user-id": encodeId(id) } : who
    },
  })
  const account = createAccount(() => http, identity, userChanged)

  const connection = createConnection({
    clock,
    random,
    environment,
    async openSocket(turn) {
      checkUrl()
      const auth = await identify()
      socketToken = auth.token
      const wires = options.transports ?? ["websocket", "polling"]
      // What hangs behind a proxy is not tried first twice.
      const transports = turn % 2 ? wires : [...wires].reverse()
      return (options.openSocket ?? openSocket)({
        url,
        path,
        addTrailingSlash: false,
        transports,
        auth,
        withCredentials: identity.cookies,
      })
    },
    async join() {
      // What the client cannot read in a token, the server can.
      const id = options.getToken ? identity.known()?.id : (await account.whoami()).id
      people.joined()
      const { name, avatarUrl } = options
      const began = epoch
      const answer = await connection.ask<JoinAnswer>("join_user", {
        ...(id ? { userId: id } : {}),
        roster,
        ...(name ? { name } : {}),
        ...(avatarUrl ? { avatarUrl } : {}),
      })
      generation.told(answer.store, began, true)
      people.through()
      account.become(answer.user)
      if (answer.status) account.chose(answer.status)
    },
    async catchUp(isCurrent) {
      list.catchesUp()
      people.watchAgain()
      for (const one of threads.values()) one.joined()
      const { activity } = account.state.get()
      if (activity) connection.emit("set_activity", { activity })
      outbox.kick(true)
      if (!list.loaded()) await list.refresh().catch(list.refreshSoon)
      // A name or a member may have changed meanwhile, which is no entry of a log.
      else {
        cancelNews()
        cancelNews = clock.after(2_000 + 8_000 * random(), list.refreshSoon)
      }
      if (!isCurrent()) return
      await catchUp.everything(isCurrent)
      marks.flush()
    },
    handlers: {
      online_users: (list) => people.happened({ type: "snapshot", list }),
      user_online: (said) => happened("online", said),
      user_updated: (said) => happened("updated", said),
      user_offline: (said) => happened("offline", said),
      presence_changes: (said) => people.happened({ type: "changes", ...said }),
      new_private_message: onEntry,
      conversation_entry: onEntry,
      typing: (said) => thread(said.conversationId).typed(said),
      receipt: (said) => thread(said.conversationId).receipt(said),
      conversation_updated: (said) => list.upsert(said),
      token_expired: () => void renew(),
      error_message() {},
    },
    async unknownCaller() {
      identity.reject("refused", socketToken)
      account.forget()
      // A token can be asked for again; a session that is not there any more is not.
      return identity.cookies ? (await account.session()) !== null : !!options.getToken
    },
    down: () => people.down(),
    released() {
      releases++
      if (options.getToken) uncertain ??= new Map()
      identity.forget()
      // Somebody else may sign in by the time it is retained again.
      if (identity.cookies) account.forget()
    },
    resumed() {
      if (options.getToken) verifying = verify()
    },
    environmentChanged(what) {
      if (what === "wake") outbox.kick()
      if (what === "hide") drafts.flush()
    },
  })

  let closed = false
  let epoch = 0
  /** The token that the socket goes by. */
  let socketToken: string | undefined
  /** When the server's data went back in time. */
  let changedAt = Number.NEGATIVE_INFINITY
  /** Until when it is not certain that the person is still the same. */
  let verifying: Promise<void> = Promise.resolve()
  let releases = 0
  /**
   * What has been written since everybody had let go of the client, by id, until the next token tells by whom: whoever was there before,
   * or the next person, who does not see the change at once. Nothing of it can be sent until then.
   */
  let uncertain: Map<string, Written> | null = null
  /** What was written by somebody whose id is not known yet. */
  const unassigned: Written[] = []
  let cancelNews = () => {}
  let channel: Channel | null = null
  let storage: ClientStorage | null = null
  /** Opened when first used, which is never while rendering on a server. */
  let isPersistent = !!options.storage || typeof indexedDB !== "undefined"
  const store = () => {
    storage ??= options.storage ?? (isPersistent ? indexedDbStorage(`lamplight:${scope}`) : memoryStorage())
    return storage
  }

  const core: Core = {
    clock,
    random,
    newId: options.newId ?? randomId,
    environment,
    http: (path, body, extras) => telling(() => http(path, body, extras), !body, extras?.signal),
    connection: {
      ...connection,
      ask: (event, ...rest) => telling(() => connection.ask(event, ...rest), event === "sync"),
    },
    storage: createSafeStorage(store, clock, () => {
      isPersistent = false
      outbox.touch()
    }),
    isPersistent: () => isPersistent,
    withLock: options.withLock ?? browserLock(),
    scope,
    me: account.id,
    isUser: (userId) => !closed && account.id() === userId,
    epoch: () => epoch,
    isCurrent: (then) => !closed && epoch === then,
    store: () => generation.now(),
    post: (message) => channel?.post(message),
  }

  /** Hears from each answer which generation of the server's store it comes from. What only reads waits once, where the server asks to. */
  async function telling<T>(ask: () => Promise<T>, reads: boolean, signal?: AbortSignal): Promise<T> {
    const began = epoch
    const answer = await ask().catch(async (thrown) => {
      const { retryAfterMs } = toError(thrown)
      if (!reads || !retryAfterMs || retryAfterMs > MAX_PAUSE_MS) throw thrown
      // Not all at the same moment.
      await new Promise<void>((resolve) => clock.after(retryAfterMs * (1 + random() / 2), resolve))
      if (!core.isCurrent(began) || signal?.aborted) throw thrown
      return ask()
    })
    generation.told((answer as OfStore).store, began)
    return answer
  }

  const threads = new Map<string, Thread>()
  const listeners = new Set<(message: Message, isLeader: boolean) => void>()
  const touchThread = (id: string) => threads.get(id)?.touch()

  const drafts = createDrafts(core, (id) => {
    threads.get(id)?.touchDraft()
    list.touch()
  })
  const outbox = createOutbox(core, {
    delivered: (message) => thread(message.conversationId).accept(message),
    changed(id) {
      touchThread(id)
      list.touch()
    },
    sendError: (id) => threads.get(id)?.sendError() ?? null,
  })
  const list = createList(core, {
    count: (id, readSeq) => threads.get(id)?.count(readSeq) ?? null,
    draft: drafts.get,
    unsent(id) {
      const items = outbox.of(id)
      const failed = items.filter((item) => item.state === "failed").length
      return { waiting: items.length - failed, failed }
    },
    changed: touchThread,
  })
  const marks = createMarks(core, async () => {
    const { downSince } = connection.state.get()
    const age = clock.now() - list.takenAt()
    // Less than nothing where the clock was set back since.
    if (age < 0 || age >= 10_000 || list.takenAt() <= (downSince ?? 0)) await list.refresh()
  })
  const generation = createGeneration(core, marks.isOther, storeChanged)
  const people = createPeople(roster, clock, connection)
  const catchUp = createCatchUp(core, list, threads, thread, (id) => {
    epoch++
    marks.drop(id)
    generation.reset(id)
  })
  const poll = createPoll(core, list, threads)

  function thread(id: string): Thread {
    let one = threads.get(id)
    if (!one) {
      one = createThread(
        core,
        {
          list,
          items: outbox.of,
          draft: drafts.get,
          setDraft: drafts.set,
          async send(conversationId, content) {
            const unsure = uncertain
            await verifying
            // Right after the start it may not be known yet.
            if (connection.retained() && account.state.get().status === "unknown")
              await identify().catch(() => {})
            const result = await write(conversationId, content, unsure)
            // Only now, and only if nothing newer has been written since.
            if (result.ok && drafts.get(conversationId) === content) drafts.set(conversationId, "")
            return result
          },
          mark: marks.mark,
          sync: (conversationId) => void catchUp.one(conversationId),
          settled: outbox.settled,
        },
        id,
      )
      threads.set(id, one)
    }
    return one
  }

  function onEntry(entry: LogEntry): void {
    const isNew = entry.seq > (list.get(entry.conversationId)?.headSeq ?? 0)
    thread(entry.conversationId).accept(entry)
    if (isNew && isMessage(entry) && entry.senderId !== account.id()) void announce(entry)
  }

  /** `full` mode tells each change as an event of its own. */
  function happened(type: "online" | "updated" | "offline", said: object): void {
    people.happened({ type: "changes", changes: [{ type, ...said } as PresenceChange] })
  }

  /** Calls the listeners, and says whether this is the one of the person's tabs that should make a sound. */
  async function announce(message: Message): Promise<void> {
    if (!listeners.size) return
    let isLeader = false
    const tell = () => {
      // Each on its own, so that one that throws does not keep the message from the others.
      for (const listener of [...listeners]) queueMicrotask(() => listener(message, isLeader))
    }
    // Held for a moment, so that the tabs that hear of it a little later find it taken.
    const claim = core.withLock(
      `lamplight:told:${scope}:${message.id}`,
      () => {
        isLeader = true
        tell()
        return new Promise<void>((resolve) => clock.after(5_000, resolve))
      },
      true,
    )
    await claim.catch(() => {})
    if (!isLeader) tell()
  }

  async function renew(): Promise<void> {
    try {
      if (!options.getToken) {
        // A session that ran out: the server closes the socket, and the next try says who is signed in.
        account.forget()
        return
      }
      const socket = connection.socketId()
      const token = await identity.freshToken("expired", socketToken)
      // Another one by now, opened with that token: the person changed, or the line was lost.
      if (socket !== connection.socketId()) return
      socketToken = token
      await connection.ask("authenticate", { token })
    } catch (thrown) {
      const error = toError(thrown)
      if (!error.retryable && error.code !== "conflict") connection.refuse(error)
    }
  }

  /** Finds out who this is, as far as it can be told without a socket. */
  async function identify(): Promise<Record<string, string>> {
    const auth = await identity.handshake()
    const known = identity.known()
    if (!options.getToken) await account.whoami()
    else if (known && !account.id()) account.become(known)
    return auth
  }

  async function write(
    conversationId: string,
    content: string,
    unsure: Map<string, Written> | null,
  ): Promise<SendResult> {
    const author = account.id()
    const result = await outbox.add(conversationId, content)
    if (!result.ok || !unsure) return result
    unsure.set(result.clientMessageId, { conversationId, content })
    // The token came while it was written down.
    if (uncertain !== unsure && account.id() !== author) {
      handOver(unsure)
      if (account.id()) addUnassigned()
    }
    return result
  }

  /** Takes messages back from the former person's outbox, into that of whoever is there now. */
  function handOver(written: Map<string, Written>): void {
    for (const [id, { conversationId, content }] of written) {
      const item = outbox.of(conversationId).find(({ clientMessageId }) => clientMessageId === id)
      void outbox.outbox.discard(id)
      void core.storage("deleteOutbox", id)
      unassigned.push({ conversationId, content: item?.content ?? content })
    }
    written.clear()
  }

  function addUnassigned(): void {
    for (const { conversationId, content } of unassigned.splice(0)) void outbox.add(conversationId, content)
  }

  /** A token has come. If it is another person's than the last one, nothing of theirs is kept in memory. */
  function onToken(isOther: boolean): void {
    const written = uncertain
    uncertain = null
    if (!isOther || !account.id()) return
    if (written) handOver(written)
    account.become(identity.known())
    connection.restart()
  }

  /** Everybody had let go of the client for a moment: a person may have signed out and another in. */
  async function verify(): Promise<void> {
    if (!connection.joined()) return connection.restart()
    const mine = releases
    try {
      await identity.handshake()
    } catch (thrown) {
      // Released again meanwhile: the token was given up, and is asked for with the next `retain`.
      if (mine !== releases) return
      const error = toError(thrown)
      if (error.retryable) connection.restart()
      else connection.refuse(error)
    }
  }

  /** The server does not take this tab for who it thinks it is: another tab may have changed that. */
  async function recheck(id: string): Promise<void> {
    const { user } = await http<SessionAnswer>(SESSION)
    if (user.id === id || account.id() !== id) return
    account.forget()
    connection.restart()
  }

  /** Another user: nothing of the last one's is kept in memory. */
  function userChanged(): void {
    epoch++
    for (const part of [outbox, drafts, marks, list, people, ...threads.values()]) part.reset()
    poll.stop()
    if (!account.id()) return
    outbox.load()
    addUnassigned()
    drafts.load()
    marks.load(list.read)
    fetchAnew()
  }

  function fetchAnew(): void {
    list.refresh().catch(list.refreshSoon)
    for (const one of threads.values())
      if (one.isOpen()) inBackground(one.follow().then(() => list.find(one.id)))
  }

  /** The server's data went back in time: nothing that was fetched holds any more. What is unsent stays. */
  function storeChanged(joining: boolean): void {
    epoch++
    marks.drop()
    for (const part of [list, ...threads.values()]) part.reset()
    people.renew()
    const mine = epoch
    const begin = () => {
      if (!core.isCurrent(mine)) return
      // What the old socket still says is of the time before.
      if (!joining && connection.joined()) connection.restart()
      if (account.id()) fetchAnew()
    }
    // Two servers with data of their own behind one address change it with each answer: they are not asked in a storm.
    if (clock.now() - changedAt < CHANGE_MS) clock.after(CHANGE_MS, begin)
    else begin()
    changedAt = clock.now()
  }

  /** Hears the other tabs from now on. */
  function listen(): void {
    if (!closed) channel ??= (options.openChannel ?? browserChannel)(`lamplight:${scope}`, heard)
  }

  function heard(message: unknown): void {
    const said = message as TabMessage
    if (said.type === "account") {
      account.forget()
      if (!identity.cookies) return
      if (connection.retained()) connection.restart()
      // At the door: it opens by itself.
      else inBackground(account.session())
      return
    }
    if (said.userId !== account.id()) return
    if (said.type === "read") {
      if (said.store !== generation.now()) return
      marks.heard(said.conversationId, said.seq)
      list.read(said.conversationId, said.seq)
    } else if (said.type === "draft") drafts.heard(said.conversationId, said.text)
    else outbox.load()
  }

  let counted = 0
  /** Keeps the page's count of clients in use. */
  function count(): void {
    const now = connection.retained() ? 1 : 0
    openClients.set(scope, (openClients.get(scope) ?? 0) + now - counted)
    counted = now
  }

  /** Fetched when there is something to look at: it is no part of what every page carries. */
  const doctor = () => import("./doctor.js")
  const context = () => ({
    url,
    path,
    core,
    identity,
    gives: { getToken: !!options.getToken, userId: !!options.userId },
    ownSocket: !options.openSocket,
    fetch: fetcher,
    sockets: openClients.get(scope) ?? 0,
    tokenPart,
    newError: (details: ErrorDetails) => new LamplightError(details),
  })

  let last = connection.state.get()
  connection.state.subscribe(() => {
    const now = connection.state.get()
    if (now.status === last.status && now.overHttp === last.overHttp) return
    const { status, error } = now
    const isFailing = status === "offline" && !now.stale && now.attempt % EXPLAIN_EVERY === 2
    if (error && !(error instanceof Unauthorized) && (status === "refused" || isFailing)) {
      inBackground(
        doctor().then(async ({ explain }) =>
          connection.explain(error, await explain(context(), status, error)),
        ),
      )
    }
    if (now.overHttp && !last.overHttp) outbox.kick()
    // Also where there never was a line.
    if (now.status === "offline") people.down()
    if (now.error?.code === "unauthenticated" && now.status === "refused" && identity.cookies)
      account.become(null)
    last = now
    count()
    poll.line()
    for (const one of threads.values()) {
      one.touch()
      // What the catch-up left out for being too far.
      if (now.status === "connected" && hasGap(one.log())) inBackground(one.follow())
    }
  })

  async function enter(way: "register" | "login", body: object): Promise<User> {
    listen()
    const user = await account.enter(way, body)
    core.post({ type: "account" })
    connection.restart()
    // What waited for it.
    outbox.kick()
    return user
  }

  async function leave(everywhere?: boolean): Promise<void> {
    drafts.flush()
    await account.leave(everywhere)
    core.post({ type: "account" })
    connection.refuse(new Unauthorized("You are signed out."))
  }

  return {
    connection: connection.state,
    me: account.state,
    conversations: list.store,
    unread: list.unread,
    outbox: outbox.outbox,
    restored: generation.state,
    dismissRestored: generation.dismiss,
    roster: ((ids?: readonly string[]) => (ids ? people.some(ids) : people.all)) as Lamplight["roster"],
    presence: people.one,
    conversation: thread,
    retain() {
      listen()
      return connection.retain()
    },
    connect: connection.connect,
    close() {
      drafts.flush()
      closed = true
      cancelNews()
      connection.close()
      poll.stop()
      identity.forget()
      channel?.close()
      channel = null
      listeners.clear()
    },
    register: (body) => enter("register", body),
    login: (body) => enter("login", body),
    logout: () => leave(),
    logoutEverywhere: () => leave(true),
    async changePassword(passwords) {
      await http("/api/auth/password", passwords)
    },
    updateAccount: account.update,
    session() {
      listen()
      return account.session()
    },
    users: (text, { cursor, signal } = {}) =>
      http<PageAnswer<User>>(`/api/users${query({ query: text || undefined, cursor })}`, undefined, {
        signal,
      }),
    async openConversation(userId) {
      const path = "/api/privatechat/conversations"
      const { conversation } = await http<{ conversation: Conversation }>(path, { userId })
      list.upsert(conversation)
      return conversation
    },
    loadMoreConversations: list.loadMore,
    reloadConversations: list.refresh,
    async setStatus(status, { text, until } = {}) {
      const chosen = { status, ...(text ? { text } : {}), ...(until ? { until } : {}) }
      // The server may have trimmed the text.
      account.chose((await connection.ask<{ status?: Chosen }>("set_status", chosen)).status ?? chosen)
    },
    async setActivity(activity) {
      account.does(activity)
      if (connection.joined()) await connection.ask("set_activity", { activity })
    },
    onMessage(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    doctor: async () => (await doctor()).diagnose(context()),
  }
}
