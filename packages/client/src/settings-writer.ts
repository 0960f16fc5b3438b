/** Sends the user's conversation settings: in order for each conversation, repeated until the server has answered. Loaded on demand. */
import type { delayAfter } from "./backoff.js"
import type { refusal } from "./content.js"
import type { Core } from "./core.js"
import type { LamplightError, toError } from "./errors.js"
import type { SettingsChange, WriteResult } from "./types.js"
import type { Conversation } from "./wire.js"

export interface SettingsWriter {
  /** The conversation with its unsent settings applied. */
  applied(conversation: Conversation): Conversation
  /** Shows a change and sends it. Resolves when the server has answered. */
  change(id: string, change: SettingsChange): Promise<WriteResult>
  /** Loads the unsent changes of earlier pages and other tabs, and sends them. */
  load(): Promise<void>
}

interface WriterOptions {
  /** Receives each conversation as the server has it after a change. */
  answered(conversation: Conversation): void
  // Passed in, since an import from the main chunk would make a third chunk that every page loads.
  delayAfter: typeof delayAfter
  refusal: typeof refusal
  toError: typeof toError
}

const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 30_000

export function createSettingsWriter(core: Core, options: WriterOptions): SettingsWriter {
  const { answered, delayAfter, refusal, toError } = options
  const { events } = core
  /** The unsent changes in order. Later ones are merged, but not into the one in flight. */
  const queues = new Map<string, SettingsChange[]>()
  const waiting = new Map<SettingsChange, ((result: WriteResult) => void)[]>()
  /** All settings made in this tab, sent or not. */
  const set = new Map<string, SettingsChange>()
  /** The changes in flight, by conversation. */
  const sending = new Map<string, SettingsChange>()
  let failures = 0
  let cancel: (() => void) | null = null

  // The storage has the queues of all tabs under one key, each tab's under names that begin with its own id: another one for each
  // sign-in, since what it stored before is taken over like that of another tab.
  const newTab = () => `${core.newId()}\n`
  let tab = newTab()
  const key = () => `settings:${core.scope}:${core.me()}`
  /** The changes taken over from other tabs, in their state at that time: they are stored under this tab's names from then on. */
  const taken = new Map<string, string>()

  /** Stores the queues without touching the records of other tabs. */
  function save(): void {
    const at = key()
    const mine = tab
    const own = [...queues].map(([id, changes]) => [mine + id, structuredClone(changes)] as const)
    void core
      .withLock(`lamplight:${at}`, async () => {
        const stored = await core.storage("get", at)
        const others = Object.entries(stored?.value ?? {}).filter(
          ([name, changes]) => !name.startsWith(mine) && taken.get(name) !== JSON.stringify(changes),
        )
        const all = [...others, ...own]
        await core.storage("set", at, all.length ? Object.fromEntries(all) : undefined)
      })
      .catch(() => {})
  }

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

  /** Rejects all waiting calls. Stored changes are sent when their user is back. */
  function giveUp(): void {
    clear()
    const fix = "Nothing: it is sent at the next sign-in."
    const error = refusal("aborted", "You were signed out before the server had the change.", fix)
    for (const all of waiting.values()) for (const resolve of all) resolve({ ok: false, error })
    waiting.clear()
  }

  events.on("reset", () => {
    giveUp()
    queues.clear()
    set.clear()
    taken.clear()
    tab = newTab()
  })
  events.on("connection", ({ now }) => {
    if (now.status === "closed") giveUp()
  })
  events.on("restored", clear)
  events.on("joined", flush)

  return {
    applied(conversation) {
      const changes = queues.get(conversation.id)
      if (!changes) return conversation
      const next: Conversation & SettingsChange = Object.assign({ ...conversation }, ...changes)
      return { ...next, mutedUntil: next.mutedUntil ?? undefined }
    },
    change: (id, change) =>
      new Promise((resolve) => {
        if (!Object.keys(change).length) return resolve({ ok: true })
        set.set(id, { ...set.get(id), ...change })
        const into = put(id, change)
        waiting.set(into, [...(waiting.get(into) ?? []), resolve])
        changed(id)
        void drain(id)
      }),
    async load() {
      const me = core.me()
      const stored = await core.storage("get", key())
      if (!core.isUser(me)) return
      const ids = new Set<string>()
      for (const [name, changes] of Object.entries(stored?.value ?? {})) {
        if (name.startsWith(tab) || taken.get(name) === JSON.stringify(changes)) continue
        taken.set(name, JSON.stringify(changes))
        // Earlier versions stored the id alone.
        const id = name.slice(name.indexOf("\n") + 1)
        // Values set in this tab, or taken over earlier, are newer.
        const newer = Object.assign({}, ...(queues.get(id) ?? []), set.get(id))
        const left = Object.entries(Object.assign({}, ...changes)).filter(([what]) => !(what in newer))
        if (left.length) put(id, Object.fromEntries(left))
        ids.add(id)
      }
      for (const id of ids) changed(id)
      flush()
    },
  }
}
