/** The uploads of one user: stored with their bytes, sent, and attached to the messages that wait for them. */
import type { Core } from "../core.js"
import type { OutboxRecord, UploadRecord, UploadStorage } from "../options.js"
import type { Cell } from "../store.js"
import type { Upload } from "../types.js"
import type { FilesOptions } from "./contract.js"
import { bytesLock, type Entry, isEqual, itemOf, newEntry, save } from "./entry.js"
import { createKeeper } from "./keeper.js"
import { createSender } from "./sender.js"
import { indexedDbUploads } from "./storage.js"
import { createTus } from "./tus.js"

/** How often other tabs are notified of an upload's progress. */
const TELL_EVERY_MS = 500
/** Attempts to delete an upload on the server, which deletes the rest after 24 hours. */
const MAX_TRIES = 5
/** How many messages that left the outbox are remembered. */
const MAX_STORED = 1_000

export function createUploads(core: Core, given: FilesOptions, store: Cell<readonly Upload[]>) {
  const { events, clock } = core
  const { options, tools } = given
  const { LamplightError, delayAfter, toError, same } = tools
  // Not the outbox's store, which may be a step behind.
  const { entries: messages, update } = given.outbox
  const uptime = clock.uptime ?? clock.now
  const hasDatabase = !options.storage && typeof indexedDB !== "undefined"
  const storage: UploadStorage | null =
    options.uploadStorage ?? (hasDatabase ? indexedDbUploads(`lamplight:${core.scope}:uploads`, tools) : null)
  const entries = new Map<string, Entry>()
  /** Ids that ended here: the storage may still return them for a moment. */
  const removed = new Set<string>()
  /** Messages that are in the log: the files of those that left the outbox otherwise are not needed. */
  const stored = new Set<string>()
  const tus = createTus(core, given)
  let lastOrder = 0
  let toldAt = 0
  /** True from a release until the next user is known: no token is requested meanwhile. */
  let isReleased = false

  const isWanted = (entry: Entry) =>
    entries.get(entry.record.id) === entry &&
    entry.record.state === "open" &&
    !isReleased &&
    core.isUser(entry.record.userId)
  const isHere = (entry: Entry) => entries.get(entry.record.id) === entry

  function publish(): void {
    const sorted = [...entries.values()].sort((one, other) => one.record.order - other.record.order)
    store.set(
      same(
        store.get(),
        sorted.map((entry) => itemOf(entry, tools)),
      ),
    )
  }

  function notifyTabs(userId: string, progress?: { id: string; sent: number }): void {
    core.post({ type: "uploads", userId, ...progress })
  }

  function change(entry: Entry, changed: Partial<UploadRecord>): void {
    entry.record = { ...entry.record, ...changed }
    const { userId } = entry.record
    void save(entry, storage).then(() => notifyTabs(userId))
    publish()
    settle(entry)
  }

  /** Reports the result to the message that waits for it. */
  function settle({ record: { id, state, fileId, error } }: Entry): void {
    if (state === "ready" && fileId !== null) uploaded(id, { fileId })
    else if (state === "failed" && error) uploaded(id, { failed: error })
  }

  /** Applies the result of an upload: the messages that have it are sent, or fail. */
  function uploaded(uploadId: string, outcome: { fileId: string } | Pick<OutboxRecord, "failed">): void {
    for (const message of messages.values()) {
      const { files = [], failed } = message.record
      const file = files.find((one) => one.uploadId === uploadId)
      if (!file || failed || file.fileId) continue
      if (!("fileId" in outcome)) void update(message, outcome)
      else void update(message, { files: files.map((one) => (one === file ? { ...one, ...outcome } : one)) })
    }
  }

  const sender = createSender(core, tools, tus, storage, {
    isWanted,
    change,
    async refresh(entry) {
      const { userId, id } = entry.record
      // An upload that is not stored does not wait for the storage.
      if (entry.durable) await entry.saving
      const all = entry.durable ? await storage?.all(userId).catch(() => undefined) : undefined
      const stored = all?.find((one) => one.id === id)
      if (all && !stored && isHere(entry)) forget(entry)
      else if (stored && !entry.writes && !isEqual(stored, entry.record)) take(stored)
      return isWanted(entry)
    },
    moved(entry) {
      publish()
      if (!entry.isRunning && isWanted(entry)) start(entry)
      if (!entry.durable || uptime() - toldAt < TELL_EVERY_MS) return
      toldAt = uptime()
      notifyTabs(entry.record.userId, { id: entry.record.id, sent: entry.sent })
    },
    abandon: (fileId) => void terminate(fileId),
  })

  const keep = createKeeper(core, storage, options, entries, (entry) => {
    notifyTabs(entry.record.userId)
    publish()
  })

  function start(entry: Entry): void {
    entry.wake()
    if (isWanted(entry)) void sender(entry)
  }

  /** Ends it in this tab. */
  function forget(entry: Entry): void {
    entries.delete(entry.record.id)
    entry.abort.abort()
    entry.wake()
    entry.release()
    publish()
  }

  /** Ends it, and its bytes in the storage. */
  function drop(entry: Entry): void {
    const { id, userId } = entry.record
    removed.add(id)
    forget(entry)
    void entry.saving
      .then(() => storage?.delete(id))
      .catch(() => {})
      .then(() => notifyTabs(userId))
    if (!entries.size) void core.storage("set", `uploads:${userId}`, undefined)
  }

  async function terminate(fileId: string): Promise<void> {
    const me = core.me()
    for (let tries = 0; tries < MAX_TRIES && core.isUser(me); tries++) {
      try {
        return await tus.remove(fileId, new AbortController().signal)
      } catch (thrown) {
        const delay = delayAfter(toError(thrown), tries, 1_000, 30_000, core.random)
        await new Promise<void>((resolve) => clock.after(delay, resolve))
      }
    }
  }

  /** Ends an upload that no message will have. */
  function cancel(entry: Entry): void {
    const { fileId } = entry.record
    drop(entry)
    if (fileId !== null) void terminate(fileId)
  }

  /** Tries it again; the server may have deleted it meanwhile. */
  function again(entry: Entry): void {
    if (entry.record.state !== "open") change(entry, { state: "open", error: null })
    start(entry)
  }

  /** Takes over a stored record. */
  function take(record: UploadRecord): void {
    const entry = entries.get(record.id)
    if (entry) {
      entry.record = record
      if (record.state === "paused") entry.abort.abort()
      if (record.state === "ready") entry.sent = record.size
    } else entries.set(record.id, newEntry(record, null, true))
    lastOrder = Math.max(lastOrder, record.order)
  }

  /** Applies the records of an earlier page and changes by other tabs. */
  async function load(): Promise<void> {
    const me = core.me()
    if (me === null) return
    const before = new Set(entries.keys())
    const all = await storage?.all(me).catch(() => undefined)
    if (!core.isUser(me)) return
    for (const record of all ?? []) {
      const entry = entries.get(record.id)
      if (removed.has(record.id) || entry?.isRunning || entry?.writes) continue
      if (!entry || !isEqual(entry.record, record)) take(record)
    }
    const ids = new Set(all?.map(({ id }) => id))
    for (const entry of [...entries.values()]) {
      const { id } = entry.record
      if (all && before.has(id) && entry.durable && !ids.has(id) && !entry.isRunning) forget(entry)
      // A handle: the bytes stay where they are.
      else if (!entry.bytes && entry.durable) {
        void storage?.bytes(id).then(
          (bytes) => {
            entry.bytes ??= bytes ?? null
            publish()
          },
          () => {},
        )
      }
    }
    publish()
    for (const entry of entries.values()) start(entry)
    for (const { record } of messages.values()) settleItem(record)
    await collect()
  }

  /** Brings a message in the outbox and its uploads together. */
  function settleItem({ files, clientMessageId, failed, userId }: OutboxRecord): void {
    for (const { uploadId, fileId } of files ?? []) {
      const entry = entries.get(uploadId)
      if (!entry) {
        if (!failed && !fileId) void missed(uploadId, userId)
        continue
      }
      if (entry.record.clientMessageId !== clientMessageId) change(entry, { clientMessageId })
      else if (!failed && !fileId) settle(entry)
    }
  }

  const looking = new Set<string>()
  /** A message waits for an upload that this tab does not have. A tab that has its bytes announces that by a lock. */
  async function missed(uploadId: string, userId: string): Promise<void> {
    if (looking.has(uploadId)) return
    looking.add(uploadId)
    await core
      .withLock(bytesLock(core, uploadId), async () => {
        const all = (await storage?.all(userId)) ?? []
        if (!core.isUser(userId) || entries.has(uploadId)) return
        if (all.some(({ id }) => id === uploadId)) return void load()
        const message = "The file is not on this device any more."
        uploaded(uploadId, { failed: { code: "not_found", message } })
      })
      .catch(() => {})
    looking.delete(uploadId)
  }

  /** Ends the uploads whose message has left the outbox. */
  async function collect(): Promise<void> {
    const me = core.me()
    const held = () =>
      new Set(
        [...messages.values()].flatMap(({ record }) => (record.files ?? []).map(({ uploadId }) => uploadId)),
      )
    const isDone = ({ record }: Entry, ids: Set<string>) =>
      record.clientMessageId !== null && !ids.has(record.id)
    if (![...entries.values()].some((entry) => isDone(entry, held()))) return
    // The outbox may not be loaded yet.
    const waiting = await core.storage("outbox", me ?? "")
    if (!waiting || !core.isUser(me)) return
    const ids = held()
    for (const { files } of waiting.value) for (const { uploadId } of files ?? []) ids.add(uploadId)
    for (const entry of [...entries.values()]) {
      if (!isDone(entry, ids)) continue
      if (stored.has(entry.record.clientMessageId ?? "")) drop(entry)
      // It was discarded, or sent by another tab: then the server keeps it.
      else cancel(entry)
    }
  }

  events.on("unsent", (conversationId) => {
    for (const { record } of messages.values())
      if (record.conversationId === conversationId) settleItem(record)
    void collect()
  })
  events.on("retried", (message) => {
    const { files = [], userId } = message.record
    if (!files.length) return
    // The server may have deleted them meanwhile: each is looked for first.
    void update(message, { files: files.map((file) => ({ ...file, fileId: undefined })) })
    for (const { uploadId } of files) {
      const entry = entries.get(uploadId)
      if (entry) again(entry)
      else void missed(uploadId, userId)
    }
  })
  events.on("stored", ({ clientMessageId, senderId }) => {
    if (!clientMessageId || senderId !== core.me()) return
    stored.add(clientMessageId)
    // History has many; messages from the outbox were stored a moment ago.
    for (const oldest of stored) if (stored.size > MAX_STORED) stored.delete(oldest)
  })
  events.on("reset", () => {
    for (const entry of [...entries.values()]) forget(entry)
    removed.clear()
    stored.clear()
  })
  events.on("signedIn", () => {
    isReleased = false
    void load()
  })
  events.on("tab", (message) => {
    if (message.type !== "uploads") return
    if (message.id === undefined) return void load()
    const entry = entries.get(message.id)
    if (!entry || entry.isRunning || entry.record.state !== "open") return
    entry.sent = message.sent ?? entry.sent
    entry.live = "uploading"
    publish()
  })
  const wake = () => {
    isReleased = false
    for (const entry of entries.values()) start(entry)
  }
  events.on("environment", (what) => {
    if (what === "wake" && !isReleased) wake()
  })
  events.on("connection", ({ now, before }) => {
    if (now.status === "closed") return close()
    if (now.overHttp && !before.overHttp) wake()
  })
  events.on("joined", wake)
  events.on("resumed", wake)
  function stop(): void {
    isReleased = true
    for (const entry of entries.values()) {
      entry.abort.abort()
      entry.wake()
    }
  }
  function close(): void {
    stop()
    for (const entry of entries.values()) entry.release()
    // After pending writes.
    void Promise.all([...entries.values()].map(({ saving }) => saving)).then(() => storage?.close?.())
  }
  events.on("released", stop)
  events.on("token", wake)
  void load()

  return {
    async add(conversationId: string, file: Blob & { name?: string }): Promise<Upload> {
      const userId = core.me()
      if (userId === null) {
        const message = "You are not signed in."
        throw new LamplightError({
          code: "unauthenticated",
          message,
          retryable: false,
          fix: "Sign in first.",
        })
      }
      lastOrder = Math.max(clock.now(), lastOrder + 1)
      const record: UploadRecord = {
        id: core.newId(),
        userId,
        conversationId,
        name: file.name || "file",
        type: file.type,
        size: file.size,
        order: lastOrder,
        fileId: null,
        state: "open",
        error: null,
        clientMessageId: null,
      }
      const entry = newEntry(record, file, false)
      entries.set(record.id, entry)
      publish()
      const held = new Promise<void>((resolve) => {
        entry.release = resolve
      })
      void core.withLock(bytesLock(core, record.id), () => held).catch(() => {})
      start(entry)
      await keep(entry, file)
      return itemOf(entry, tools)
    },
    async erase(userId: string): Promise<void> {
      for (const { id } of (await storage?.all(userId)) ?? []) await storage?.delete(id)
    },
    pause(id: string): void {
      const entry = entries.get(id)
      if (entry?.record.state !== "open") return
      change(entry, { state: "paused" })
      entry.abort.abort()
      entry.wake()
    },
    resume(id: string): void {
      const entry = entries.get(id)
      if (entry && entry.record.state !== "ready") again(entry)
    },
    cancel(id: string): void {
      const entry = entries.get(id)
      if (!entry) return
      cancel(entry)
      uploaded(id, { failed: { code: "cancelled", message: "Its file was removed." } })
    },
  }
}
