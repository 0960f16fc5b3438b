/** The outbox: a message is stored, then shown, then sent. */
import { refusal, refuseContent } from "../content.js"
import type { Core } from "../core.js"
import type { LamplightError } from "../errors.js"
import type { OutboxRecord } from "../options.js"
import type { Outbox, OutboxItem, SendResult } from "../types.js"
import { createQueue, type OutboxEntry, untried } from "./queue.js"
import { createSender } from "./sender.js"
import { createOutboxStorage } from "./storage.js"
import { createOutboxView } from "./view.js"

/** The outbox for the rest of the client. */
export interface OutboxController {
  outbox: Outbox
  add(conversationId: string, content: string): Promise<SendResult>
  /** The unsent messages of a conversation, in order. */
  of(conversationId: string): readonly OutboxItem[]
  /** Tries everything that waits now. `isFresh`: the delays start small again. */
  kick(isFresh?: boolean): void
  /** The storage has been given up: nothing outlives the page from now on. */
  notPersistent(): void
}

/** `sendError` says why nothing may be sent to a conversation; null if it may. */
export function createOutbox(
  core: Core,
  sendError: (conversationId: string) => LamplightError | null,
): OutboxController {
  const { events } = core
  const queue = createQueue(changed)
  const storage = createOutboxStorage(core, queue, changed)
  const sender = createSender(core, queue, storage, changed)
  const { store, items } = createOutboxView(core, queue)
  const { entries } = queue
  const { drain } = sender

  function changed(conversationId: string): void {
    events.emit("unsent", conversationId)
    store.touch()
  }

  function check(conversationId: string, content: string): LamplightError | null {
    if (!core.me()) return refusal("unauthenticated", "You are not signed in.", "Sign in and send it again.")
    if (!conversationId)
      return refusal("invalid", "No conversation is chosen.", "Choose a conversation first.")
    return refuseContent(content) ?? sendError(conversationId)
  }

  async function add(conversationId: string, content: string): Promise<SendResult> {
    const error = check(conversationId, content)
    if (error) return { ok: false, error, content }
    const userId = core.me() as string
    const now = core.clock.now()
    const record: OutboxRecord = {
      clientMessageId: core.newId(),
      userId,
      conversationId,
      content,
      createdAt: new Date(now).toISOString(),
      order: queue.nextOrder(now),
      dispatched: false,
      failed: null,
    }
    // Stored before it is shown, and shown in the order of the calls.
    const saved = await storage.add(record)
    if (core.isUser(userId)) {
      queue.put(record, saved)
      storage.tellTabs(userId)
      void drain()
    }
    return { ok: true, clientMessageId: record.clientMessageId }
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
  events.on("stored", ({ clientMessageId, senderId, conversationId }) => {
    const entry = clientMessageId && senderId === core.me() ? entries.get(clientMessageId) : undefined
    if (entry?.record.conversationId === conversationId) remove(entry)
  })

  return {
    outbox: {
      ...store,
      retry(id) {
        for (const entry of entries.values()) {
          if (id !== undefined && entry.record.clientMessageId !== id) continue
          Object.assign(entry, untried, { signIn: false })
          if (entry.record.failed) void storage.update(entry, { failed: null }).then(drain)
          changed(entry.record.conversationId)
        }
        void drain()
      },
      async edit(id, content) {
        const entry = entries.get(id)
        const refuse = (error: LamplightError): SendResult => ({ ok: false, error, content })
        if (!entry) return refuse(refusal("not_found", "That message was sent already.", "Write a new one."))
        const { record } = entry
        const error = check(record.conversationId, content)
        if (error) return refuse(error)
        if (entry.inFlight || (record.dispatched && !record.failed)) {
          return refuse(
            refusal("conflict", "That message may have arrived already.", "Wait until it is clear."),
          )
        }
        // A refused message was not stored, so its id is free; but after a conflict the id belongs to another text.
        const clientMessageId = record.failed?.code === "conflict" ? core.newId() : id
        if (clientMessageId !== id) storage.remove(entry)
        queue.put({ ...record, clientMessageId, content, dispatched: false, failed: null }, entry.saved)
        const edited = entries.get(clientMessageId) as OutboxEntry
        Object.assign(edited, untried)
        await storage.update(edited, {})
        changed(record.conversationId)
        void drain()
        return { ok: true, clientMessageId }
      },
      async discard(id) {
        const entry = entries.get(id)
        if (!entry) return null
        remove(entry)
        return entry.record.content
      },
    },
    add,
    of: items,
    kick,
    notPersistent() {
      for (const entry of entries.values()) entry.saved = false
      store.touch()
    },
  }
}
