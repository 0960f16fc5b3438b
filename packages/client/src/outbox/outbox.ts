/** The outbox: a message, or a change of one, is stored, then shown, then sent. */
import { refusal, refuseContent } from "../content.js"
import type { Core } from "../core.js"
import type { LamplightError } from "../errors.js"
import { isMessage } from "../fold.js"
import type { MessageAction, OutboxRecord } from "../options.js"
import type { Outbox, OutboxItem, SendResult } from "../types.js"
import { createQueue, type OutboxEntry, untried } from "./queue.js"
import { type Confirm, createSender } from "./sender.js"
import { createOutboxStorage } from "./storage.js"
import { createOutboxView } from "./view.js"
import { createWrites, type FindSent, isUnsent, type Target } from "./writes.js"

/** The parts of a message besides its text. */
export type SendExtras = Pick<OutboxRecord, "replyTo" | "mentions" | "files" | "uncertain">

/** A message: by its id, or by its `clientMessageId` while it is not sent. */
export type WriteTarget = { messageId: string } | { clientMessageId: string }

/** The outbox for the rest of the client. */
export interface OutboxController {
  outbox: Outbox
  add(conversationId: string, content: string, extras?: SendExtras): Promise<SendResult>
  readonly entries: ReadonlyMap<string, OutboxEntry>
  /** Changes a record, at once in memory and then in the storage, and sends entries that are ready. */
  update(entry: OutboxEntry, change: Partial<OutboxRecord>): Promise<void>
  /** The author of an entry is certain now. */
  certain(clientMessageId: string): void
  /** Puts a change of a message into the outbox, or makes it in the outbox if the message is not sent yet. */
  write(
    conversationId: string,
    target: WriteTarget,
    action: MessageAction,
    extras?: SendExtras,
  ): Promise<SendResult>
  /** The unsent messages of a conversation, in order. */
  of(conversationId: string): readonly OutboxItem[]
  /** Nothing can be sent to a conversation any more: waiting entries fail. */
  refuse(conversationId: string, error: LamplightError): void
  /** Retries all waiting entries now. `isFresh`: the delays start small again. */
  kick(isFresh?: boolean): void
  /** The storage does not answer, so that new entries end with the page; or it answers again, and missing entries are stored. */
  persist(isLost: boolean): void
}

/** `sendError` says why nothing may be sent to a conversation; null if it may. */
export function createOutbox(
  core: Core,
  sendError: (conversationId: string) => LamplightError | null,
  findSent: FindSent,
  confirm: Confirm,
): OutboxController {
  const { events } = core
  const queue = createQueue(changed)
  const storage = createOutboxStorage(core, queue, changed)
  const writes = createWrites(queue, storage, remove, findSent)
  const sender = createSender(core, queue, storage, writes, changed, refused, confirm)
  const { store, items } = createOutboxView(core, queue)
  const { entries } = queue
  const { drain } = sender

  function changed(conversationId: string): void {
    events.emit("unsent", conversationId)
    store.touch()
  }

  /** `content` is null if there is none. */
  function check(conversationId: string, content: string | null, hasFiles?: boolean): LamplightError | null {
    if (!core.me()) return refusal("unauthenticated", "You are not signed in.", "Sign in and send it again.")
    if (!conversationId)
      return refusal("invalid", "No conversation is chosen.", "Choose a conversation first.")
    return (content === null ? null : refuseContent(content, hasFiles)) ?? sendError(conversationId)
  }

  async function add(conversationId: string, content: string, extras?: SendExtras): Promise<SendResult> {
    const error = check(conversationId, content, !!extras?.files)
    if (error) return { ok: false, error, content }
    return put(conversationId, { ...extras, content })
  }

  /** Stores before it shows, and shows in the order of the calls. */
  async function put(
    conversationId: string,
    given: SendExtras & Pick<OutboxRecord, "content" | "write">,
  ): Promise<SendResult> {
    const userId = core.me() as string
    const now = core.clock.now()
    const record: OutboxRecord = {
      clientMessageId: core.newId(),
      userId,
      conversationId,
      createdAt: new Date(now).toISOString(),
      order: queue.nextOrder(now),
      dispatched: false,
      failed: null,
      ...given,
    }
    const saved = await storage.add(record)
    if (core.isUser(userId)) {
      queue.put(record, saved)
      storage.notifyTabs(userId)
      void drain()
    }
    return { ok: true, clientMessageId: record.clientMessageId }
  }

  async function write(
    conversationId: string,
    target: WriteTarget,
    action: MessageAction,
    extras?: SendExtras,
  ): Promise<SendResult> {
    const content = action.kind === "edit" ? action.content : ""
    const refuse = (error: LamplightError): SendResult => ({ ok: false, error, content })
    const error = check(conversationId, action.kind === "edit" ? content : null)
    if (error) return refuse(error)
    const id = "messageId" in target ? target.messageId : target.clientMessageId
    const unsent = "messageId" in target ? undefined : entries.get(id)
    if (unsent && isUnsent(unsent)) {
      if (action.kind === "edit") return edit(id, content, action.mentions)
      if (action.kind === "delete") discard(unsent)
      else if (unsent.record.failed)
        return refuse(refusal("conflict", "That message was not sent.", "Send it again first."))
      if (action.kind === "delete") return { ok: true, clientMessageId: id }
    }
    const of: Target = "messageId" in target ? target : { waitsFor: id }
    const isNeeded = writes.prepare(of, action)
    if (typeof isNeeded === "object") return refuse(isNeeded)
    return isNeeded
      ? put(conversationId, { ...extras, content: "", write: { ...of, action } })
      : { ok: true, clientMessageId: id }
  }

  function kick(isFresh = false): void {
    sender.wake(isFresh)
    store.touch()
    void drain()
  }

  function remove(entry: OutboxEntry): void {
    storage.remove(entry)
    changed(entry.record.conversationId)
    void drain()
  }

  /** Removes a message together with the changes that wait for it. */
  function discard(entry: OutboxEntry): void {
    if (!entry.record.write) writes.cancel(entry.record.clientMessageId)
    remove(entry)
  }

  /** The changes that wait for a permanently refused message fail with it: an edit becomes its text, a deletion removes it. */
  async function refused(entry: OutboxEntry): Promise<void> {
    const { clientMessageId, write } = entry.record
    if (write) return
    for (const action of writes.cancel(clientMessageId)) {
      if (action.kind === "delete") remove(entry)
      else if (action.kind === "edit") await storage.update(entry, withText(entry.record, action))
    }
  }

  /** With another text, and other mentions if they are given. */
  function withText(
    record: OutboxRecord,
    { content, mentions }: { content: string; mentions?: string[] | undefined },
  ) {
    if (record.write?.action.kind === "edit")
      return { write: { ...record.write, action: { ...record.write.action, content } } }
    return { content, ...(mentions ? { mentions } : {}) }
  }

  async function edit(id: string, content: string, mentions?: string[]): Promise<SendResult> {
    const entry = entries.get(id)
    const refuse = (error: LamplightError): SendResult => ({ ok: false, error, content })
    const isText = entry && (entry.record.write?.action.kind ?? "edit") === "edit"
    if (!isText) return refuse(refusal("not_found", "That message was sent already.", "Write a new one."))
    const { record } = entry
    const error = check(record.conversationId, content, !!record.files)
    if (error) return refuse(error)
    if (!isUnsent(entry)) {
      return refuse(refusal("conflict", "That message may have arrived already.", "Wait until it is clear."))
    }
    // A refused message was not stored, so its id is free; but after a conflict the id belongs to another text.
    const clientMessageId = record.failed?.code === "conflict" ? core.newId() : id
    if (clientMessageId !== id) storage.remove(entry)
    const text = withText(record, { content, mentions })
    if (record.failed) events.emit("retried", entry)
    queue.put({ ...entry.record, ...text, clientMessageId, dispatched: false, failed: null }, entry.saved)
    const edited = entries.get(clientMessageId) as OutboxEntry
    Object.assign(edited, untried)
    await storage.update(edited, {})
    changed(record.conversationId)
    void drain()
    return { ok: true, clientMessageId }
  }

  events.on("reset", () => {
    sender.stop()
    queue.reset()
    store.touch()
  })
  events.on("signedIn", sender.load)
  events.on("tab", ({ type }) => {
    if (type === "outbox") sender.load()
  })
  events.on("environment", (what) => {
    if (what === "wake") kick()
  })
  events.on("connection", ({ now, before }) => {
    if (now.overHttp && !before.overHttp) kick()
  })
  events.on("stored", (stored) => {
    const { clientMessageId, senderId, conversationId } = stored
    if (!clientMessageId || senderId !== core.me()) return
    if (isMessage(stored)) writes.resolve(stored)
    const entry = entries.get(clientMessageId)
    if (entry?.record.conversationId === conversationId) remove(entry)
  })

  return {
    outbox: {
      ...store,
      retry(id) {
        for (const entry of entries.values()) {
          if (id !== undefined && entry.record.clientMessageId !== id) continue
          Object.assign(entry, untried, { signIn: false })
          if (entry.record.failed) {
            events.emit("retried", entry)
            void storage.update(entry, { failed: null }).then(drain)
          }
          changed(entry.record.conversationId)
        }
        void drain()
      },
      edit,
      async discard(id) {
        const entry = entries.get(id)
        if (!entry) return null
        const { content, write } = entry.record
        discard(entry)
        return write?.action.kind === "edit" ? write.action.content : content
      },
    },
    write,
    add,
    entries,
    update(entry, change) {
      const done = storage.update(entry, change).then(drain)
      changed(entry.record.conversationId)
      return done
    },
    certain(id) {
      const entry = entries.get(id)
      if (entry) void storage.update(entry, { uncertain: undefined })
    },
    of: items,
    refuse(conversationId, { code, message }) {
      for (const entry of queue.lane(conversationId))
        if (!entry.inFlight && !entry.record.failed)
          void storage.update(entry, { failed: { code, message } }).then(() => changed(conversationId))
    },
    kick,
    persist(isLost) {
      for (const entry of entries.values())
        if (isLost) entry.saved = false
        else if (!entry.saved) void storage.update(entry, {}).then(store.touch)
      store.touch()
    },
  }
}
