import { createAccount } from "./account.js"
import type { Lamplight } from "./api.js"
import { createCatchUp } from "./catch-up.js"
import { createConnection } from "./connection.js"
import { refusal } from "./content.js"
import type { Core } from "./core.js"
import { browserChannel, browserEnvironment, browserLock, randomId, systemClock } from "./defaults.js"
import { createDiagnostics } from "./diagnostics.js"
import { createDrafts } from "./drafts.js"
import { LamplightError, toError } from "./errors.js"
import { createEmitter, type InternalEvents } from "./events.js"
import { createFiles } from "./files.js"
import { createGeneration } from "./generation.js"
import { createGroupsLoader } from "./groups-loader.js"
import { createHandover } from "./handover.js"
import { createHttp, query } from "./http.js"
import { createIdentity } from "./identity.js"
import { createList } from "./list.js"
import { createMarks } from "./marks.js"
import { createMessageListeners } from "./message-listeners.js"
import type { ClientStorage, LamplightOptions } from "./options.js"
import { createOutbox } from "./outbox/outbox.js"
import { createPeople } from "./people.js"
import { createSafeStorage } from "./safe-storage.js"
import { createSession } from "./session.js"
import { createSettings } from "./settings.js"
import { openSocket } from "./socket.js"
import { indexedDbStorage, memoryStorage } from "./storage.js"
import { createTabs } from "./tabs.js"
import { createThreads } from "./threads.js"
import { tools } from "./tools.js"
import type { AccountSettings, Chosen, Conversation, JoinAnswer, PageAnswer, User } from "./wire.js"

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
  const hasToken = !!options.getToken

  /** Refuses a `url` that is no origin: requests would go to the page's own server, or to two places. */
  function checkUrl(): void {
    const isUsable = url
      ? /^https?:\/\/[^/?#]+$/i.test(url)
      : options.fetch || typeof location !== "undefined"
    if (isUsable) return
    const message = `The url "${url}" is not the address of a server.`
    throw new LamplightError({ code: "LL-117", message, retryable: false })
  }

  let closed = false
  let epoch = 0
  let cancelRefresh = () => {}
  let storage: ClientStorage | null = null
  /** Whether this runtime has a storage that outlives the page. */
  const lasts = !!options.storage || typeof indexedDB !== "undefined"
  let isPersistent = lasts
  const events = createEmitter<InternalEvents>()
  const identity = createIdentity(options, clock, (isOther) => events.emit("token", isOther))

  const http = createHttp({
    url,
    clock,
    fetch: fetcher,
    credentials: identity.cookies ? "include" : "same-origin",
    async headers(path, refused) {
      checkUrl()
      return session.headers(path, refused)
    },
  })

  const account = createAccount(http, identity, () => {
    core.nextEpoch()
    events.emit("reset")
    if (!account.id()) return
    events.emit("signedIn")
    events.emit("fetch")
  })

  const connection = createConnection({
    clock,
    random,
    environment,
    events,
    async openSocket(attempt) {
      checkUrl()
      const auth = await session.authenticate()
      const names = options.transports ?? ["websocket", "polling"]
      // Alternate, so that a transport that hangs behind a proxy is not tried first twice in a row.
      const transports = attempt % 2 ? names : [...names].reverse()
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
      // If the client cannot read the id in a token, the server can.
      const id = hasToken ? identity.known()?.id : (await account.whoami()).id
      people.joinStarted()
      const { name, avatarUrl } = options
      const began = epoch
      const answer = await connection.ask<JoinAnswer>("join_user", {
        ...(id ? { userId: id } : {}),
        roster,
        ...(name ? { name } : {}),
        ...(avatarUrl ? { avatarUrl } : {}),
      })
      generation.update(answer.store, began, true)
      people.joinEnded()
      account.setUser(answer.user)
      if (answer.status) account.setStatus(answer.status)
    },
    async catchUp(isCurrent) {
      events.emit("joined")
      const { activity } = account.state.get()
      if (activity) connection.emit("set_activity", { activity })
      outbox.kick(true)
      if (!list.loaded()) await list.refresh().catch(list.refreshSoon)
      else {
        // A name or a member may have changed meanwhile: logs have no entries for that.
        cancelRefresh()
        cancelRefresh = clock.after(2_000 + 8_000 * random(), list.refreshSoon)
      }
      if (!isCurrent()) return
      await catchUp.everything(isCurrent)
      marks.flush()
    },
    unknownCaller: () => session.unknownCaller(),
  })

  const core: Core = {
    events,
    clock,
    random,
    newId: options.newId ?? randomId,
    environment,
    http: (path, body, extras) => generation.observe(() => http(path, body, extras), !body, extras?.signal),
    connection: {
      ...connection,
      ask: (event, ...rest) => generation.observe(() => connection.ask(event, ...rest), event === "sync"),
    },
    storage: createSafeStorage(
      () => {
        // Opened when first used, which is never while rendering on a server.
        storage ??= options.storage ?? (lasts ? indexedDbStorage(`lamplight:${scope}`) : memoryStorage())
        return storage
      },
      clock,
      (isLost) => {
        isPersistent = !isLost && lasts
        outbox.persist(isLost)
        // The part that could not be loaded.
        if (!isLost && account.id()) events.emit("signedIn")
      },
    ),
    isPersistent: () => isPersistent,
    withLock: options.withLock ?? browserLock(),
    scope,
    me: account.id,
    isUser: (userId) => !closed && account.id() === userId,
    epoch: () => epoch,
    nextEpoch() {
      epoch++
    },
    isCurrent: (then) => !closed && epoch === then,
    store: () => generation.now(),
    post: (message) => tabs.post(message),
  }

  // Modules subscribe to events when they are created, so the order below is the order in which they handle an event.
  const tabs = createTabs(core, (receive) =>
    (options.openChannel ?? browserChannel)(`lamplight:${scope}`, receive),
  )
  const outbox = createOutbox(
    core,
    (id) => threads.find(id)?.sendError() ?? null,
    (id, clientMessageId) => threads.find(id)?.findSent(clientMessageId),
    (entry) => session.confirm(entry),
  )
  const drafts = createDrafts(core)
  const handover = createHandover(core, outbox, drafts, hasToken, () => session.settle())
  const session = createSession(core, http, account, identity, hasToken)
  const settings = createSettings(core, (conversation) => list.upsert(conversation))
  const list = createList(core, {
    count: (id, readSeq) => threads.find(id)?.count(readSeq) ?? null,
    newest: (id) => threads.find(id)?.newest(),
    draft: drafts.get,
    unsent: outbox.of,
    fold: (conversation, entry) => groups.fold(conversation, entry),
    removed: (id) => gone(id),
    applied: settings.applied,
  })
  const marks = createMarks(core, list)
  const generation = createGeneration(core, marks.isOther)
  const people = createPeople(core, roster)
  const groups = createGroupsLoader(core, {
    ...tools,
    list,
    person: (userId) => people.one(userId).get().user,
    touch: (id) => threads.find(id)?.touch(),
  })
  const threads = createThreads(core, {
    list,
    items: outbox.of,
    groups,
    gone,
    draft: drafts.get,
    setDraft: drafts.set,
    send: handover.send,
    write: handover.write,
    mark: marks.mark,
    setSettings: settings.change,
    sync: (id) => void catchUp.one(id),
  })
  const catchUp = createCatchUp(
    core,
    list,
    threads,
    (id) => {
      core.nextEpoch()
      marks.drop(id)
      generation.reset(id)
    },
    gone,
  )

  function gone(
    id: string,
    error = refusal("not_found", "You are not a member any more.", "Ask a member."),
  ): void {
    const wasMember = !!list.get(id)
    list.remove(id)
    threads.find(id)?.fail(error, wasMember)
    outbox.refuse(id, error)
  }
  const files = createFiles(core, {
    url,
    options,
    cookies: identity.cookies,
    headers: (path, refused) => session.headers(path, refused),
    outbox,
    tools,
  })
  let isPolling = false
  events.on("connection", ({ now: { status } }) => {
    if (isPolling || (status !== "offline" && status !== "connecting")) return
    isPolling = true
    clock.after(2_000, () => {
      const forget = () => {
        isPolling = false
      }
      if (connection.joined() || closed) forget()
      else import("./poll.js").then(({ createPoll }) => createPoll(core, list, threads, tools), forget)
    })
  })
  const listeners = createMessageListeners(core, list)
  const diagnose = createDiagnostics(core, identity, options, { url, path, fetch: fetcher })

  async function signIn(way: "register" | "login", body: object): Promise<User> {
    tabs.listen()
    const user = await session.signIn(way, body)
    // Sends the messages that waited for it.
    outbox.kick()
    return user
  }

  function signOut(everywhere?: boolean): Promise<void> {
    drafts.flush()
    return session.signOut(everywhere)
  }

  async function deleteAccount(body: object): Promise<void> {
    const userId = account.id()
    // Loaded early, while the server is certain to have this build.
    const part = await import("./erase.js").catch(() => null)
    await session.signOut(true, body)
    if (userId !== null) await part?.erase(core, userId, files.erase)
  }

  return {
    connection: connection.state,
    me: account.state,
    conversations: list.store,
    unread: list.unread,
    outbox: outbox.outbox,
    uploads: files.uploads,
    sharing: files.sharing,
    fileUrl: files.url,
    renewFileUrl: files.renew,
    restored: generation.state,
    dismissRestored: generation.dismiss,
    roster: ((ids?: readonly string[]) => (ids ? people.some(ids) : people.all)) as Lamplight["roster"],
    presence: people.one,
    conversation: threads.get,
    retain() {
      tabs.listen()
      return connection.retain()
    },
    connect: connection.connect,
    close() {
      drafts.flush()
      closed = true
      cancelRefresh()
      connection.close()
      list.stop()
      identity.forget()
      tabs.close()
      listeners.clear()
      // After pending writes.
      if (storage) void core.storage("get", "").then(() => storage?.close?.())
    },
    register: (body) => signIn("register", body),
    login: (body) => signIn("login", body),
    logout: () => signOut(),
    logoutEverywhere: () => signOut(true),
    async changePassword(passwords) {
      await http("/api/auth/password", passwords)
    },
    updateAccount: account.update,
    deleteAccount,
    accountSettings: async (changes) =>
      (
        await http<{ settings: AccountSettings }>(
          "/api/account/settings",
          changes,
          changes && { method: "PUT" },
        )
      ).settings,
    session() {
      tabs.listen()
      return account.session()
    },
    users: (text, { cursor, signal } = {}) =>
      http<PageAnswer<User>>(`/api/users${query({ query: text || undefined, cursor })}`, undefined, {
        signal,
      }),
    async search(text, given = {}) {
      const { searchMessages } = await import("./search.js").catch((thrown) => {
        throw toError(thrown)
      })
      return searchMessages(core, tools, text, given)
    },
    async openConversation(userId) {
      const path = "/api/privatechat/conversations"
      const began = epoch
      const { conversation } = await http<{ conversation: Conversation }>(path, { userId })
      if (core.isCurrent(began)) list.upsert(conversation)
      return conversation
    },
    ...groups.api,
    loadMoreConversations: list.loadMore,
    loadArchivedConversations: list.loadArchived,
    reloadConversations: list.refresh,
    async setStatus(status, { text, until } = {}) {
      const chosen = { status, ...(text ? { text } : {}), ...(until ? { until } : {}) }
      // The server may have trimmed the text.
      account.setStatus((await connection.ask<{ status?: Chosen }>("set_status", chosen)).status ?? chosen)
    },
    async setActivity(activity) {
      account.setActivity(activity)
      if (connection.joined()) await connection.ask("set_activity", { activity })
    },
    onMessage(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    doctor: diagnose,
  }
}
