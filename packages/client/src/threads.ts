/** The requested conversations, and the events of the server and of other modules for them. */
import type { Core } from "./core.js"
import { isMessage } from "./fold.js"
import { hasGap } from "./log.js"
import { inBackground } from "./store.js"
import { createThread } from "./thread.js"
import type { Thread, ThreadOptions } from "./thread-contract.js"
import type { LogEntry } from "./wire.js"

export interface Threads extends Iterable<Thread> {
  /** The conversation with this id, created on first use. */
  get(id: string): Thread
  /** The conversation if it has been created. */
  find(id: string): Thread | undefined
}

export function createThreads(core: Core, options: ThreadOptions): Threads {
  const { connection, events } = core
  const { list } = options
  const threads = new Map<string, Thread>()

  function get(id: string): Thread {
    let thread = threads.get(id)
    if (!thread) {
      thread = createThread(core, options, id)
      threads.set(id, thread)
    }
    return thread
  }

  function onEntry(entry: LogEntry): void {
    const isNew = entry.seq > (list.get(entry.conversationId)?.headSeq ?? 0)
    get(entry.conversationId).accept(entry)
    if (isNew && isMessage(entry) && entry.senderId !== core.me()) events.emit("arrived", entry)
  }

  function reset(): void {
    for (const thread of threads.values()) thread.reset()
  }

  connection.on("new_private_message", onEntry)
  connection.on("conversation_entry", onEntry)
  connection.on("typing", (event) => get(event.conversationId).onTyping(event))
  connection.on("receipt", (receipt) => get(receipt.conversationId).receipt(receipt))
  events.on("delivered", (entry) => get(entry.conversationId).accept(entry))
  events.on("conversation", (id) => threads.get(id)?.touch())
  events.on("unsent", (id) => threads.get(id)?.touch())
  events.on("draft", (id) => threads.get(id)?.touchDraft())
  events.on("reset", reset)
  events.on("restored", reset)
  events.on("joined", () => {
    for (const thread of threads.values()) thread.rejoin()
  })
  events.on("fetch", () => {
    for (const thread of threads.values()) if (thread.isOpen()) inBackground(thread.follow())
  })
  events.on("connection", ({ now }) => {
    for (const thread of threads.values()) {
      thread.touch()
      // The catch-up omits entries that are too far away.
      if (now.status === "connected" && hasGap(thread.log())) inBackground(thread.follow())
    }
  })

  return { get, find: (id) => threads.get(id), [Symbol.iterator]: () => threads.values() }
}
