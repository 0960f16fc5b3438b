/** Sends what the user sets for conversations: in order for each, and again until the server has answered. Loaded when it is needed. */
import type { delayAfter } from "./backoff.js"
import type { Core } from "./core.js"
import type { LamplightError, toError } from "./errors.js"
import type { SettingsChange, WriteResult } from "./types.js"
import type { Conversation } from "./wire.js"

export interface SettingsWriter {
  /** The conversation with what is not sent yet. */
  applied(conversation: Conversation): Conversation
  /** Shows a change and sends it. Resolves when the server has answered. */
  change(id: string, change: SettingsChange): Promise<WriteResult>
  /** Sends what is not sent yet. */
  flush(): void
}

interface WriterOptions {
  /** The unsent changes in order. Later ones are merged, but not into the one that is on its way. */
  queues: Map<string, SettingsChange[]>
  /** Stores the queues. */
  save(): void
  /** Receives each conversation as the server has it after a change. */
  answered(conversation: Conversation): void
  delayAfter: typeof delayAfter
  toError: typeof toError
}

const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 30_000

const writers = new WeakMap<Core, SettingsWriter>()

/** The writer of a client: always the same one. */
export function settingsWriter(core: Core, options: WriterOptions): SettingsWriter {
  const writer = writers.get(core) ?? createWriter(core, options)
  writers.set(core, writer)
  return writer
}

function createWriter(core: Core, options: WriterOptions): SettingsWriter {
  const { queues, save, answered, delayAfter, toError } = options
  const { events } = core
  const waiting = new Map<SettingsChange, ((result: WriteResult) => void)[]>()
  /** What is on its way, by conversation. */
  const sending = new Map<string, SettingsChange>()
  let failures = 0
  let cancel: (() => void) | null = null

  /** Queues a change. Returns the one that it became part of. */
  function put(id: string, change: SettingsChange): SettingsChange {
    const queue = queues.get(id) ?? []
    queues.set(id, queue)
    const last = queue.at(-1)
    if (last && last !== sending.get(id)) return Object.assign(last, change)
    const added = { ...change }
    queue.push(added)
    return added
  }

  function end(id: string, change: SettingsChange, result: WriteResult): void {
    const left = (queues.get(id) ?? []).filter((one) => one !== change)
    if (left.length) queues.set(id, left)
    else queues.delete(id)
    for (const resolve of waiting.get(change) ?? []) resolve(result)
    waiting.delete(change)
  }

  function send(id: string, change: SettingsChange): Promise<{ conversation: Conversation }> {
    const path = `/api/privatechat/conversations/${encodeURIComponent(id)}/settings`
    return core.connection.joined()
      ? core.connection.ask("set_conversation_settings", { conversationId: id, ...change })
      : core.http(path, change, { method: "PUT" })
  }

  async function drain(id: string): Promise<void> {
    if (sending.has(id) || !core.me()) return
    const epoch = core.epoch()
    for (let change = queues.get(id)?.[0]; change; change = queues.get(id)?.[0]) {
      sending.set(id, change)
      const answer = await send(id, change).catch(toError)
      // Another user signed in, or the change is sent again after the server's data went back in time.
      if (!core.isCurrent(epoch)) return
      const error = "conversation" in answer ? null : answer
      if (error && (error.retryable || error.code === "unauthenticated")) {
        again(error)
        break
      }
      failures = 0
      end(id, change, error ? { ok: false, error } : { ok: true })
      if ("conversation" in answer) answered(answer.conversation)
      changed(id)
    }
    sending.delete(id)
  }

  function again(error: LamplightError): void {
    const delay = delayAfter(error, ++failures, FIRST_RETRY_MS, LAST_RETRY_MS, core.random)
    cancel ??= core.clock.after(delay, flush)
  }

  function flush(): void {
    cancel?.()
    cancel = null
    for (const id of queues.keys()) void drain(id)
  }

  function changed(id: string): void {
    save()
    events.emit("settings", id)
  }

  function clear(): void {
    cancel?.()
    cancel = null
    failures = 0
    sending.clear()
  }

  events.on("reset", () => {
    clear()
    waiting.clear()
  })
  events.on("restored", clear)
  events.on("joined", flush)

  return {
    applied(conversation) {
      const changes = queues.get(conversation.id)
      if (!changes) return conversation
      const set: Conversation & SettingsChange = Object.assign({ ...conversation }, ...changes)
      return { ...set, mutedUntil: set.mutedUntil ?? undefined }
    },
    change: (id, change) =>
      new Promise((resolve) => {
        if (!Object.keys(change).length) return resolve({ ok: true })
        const into = put(id, change)
        waiting.set(into, [...(waiting.get(into) ?? []), resolve])
        changed(id)
        void drain(id)
      }),
    flush() {
      for (const id of queues.keys()) events.emit("settings", id)
      flush()
    },
  }
}
