/**
 * The files of a conversation's messages, newest message first: pages from the server, updated by later entries of the log.
 */
import type { Core } from "../core.js"
import type { LamplightError } from "../errors.js"
import type { ConversationFiles, ConversationFilesState } from "../types.js"
import type { ConversationFile, FileKind, FilesAnswer, LogEntry, User } from "../wire.js"
import type { GroupTools } from "./tools.js"

interface FilesStore extends ConversationFiles {
  /** An entry is in the log, wherever it came from. */
  see(entry: LogEntry): void
  /** Entries may have been missed. */
  renew(): void
  reset(): void
}

type Learn = (users: readonly User[]) => void

const PAGE = 60
/** The most pages that are reloaded; later ones are dropped until they are requested. */
const MAX_PAGES = 5
/** How many pages without a file are skipped in a row: a block can withhold all files of a page. */
const MAX_EMPTY = 10
const RELOAD_MS = 1_000
/** The approximate delay after a connect before the list is reloaded. */
const RENEW_MS = 8_000

const noFiles: ConversationFilesState = {
  status: "loading",
  files: [],
  users: {},
  hasMore: false,
  loadingMore: false,
  error: null,
}

/** As the server decides it. */
function kindOf(type: string): FileKind {
  const [family] = type.split("/")
  return family === "image" || family === "video" ? "media" : family === "audio" ? "audio" : "document"
}

/** The stores by conversation and kinds: the same ones give the same store. */
export function createFilesStores(core: Core, tools: GroupTools, learn: Learn) {
  const { events, clock } = core
  const stores = new Map<string, Map<string, FilesStore>>()
  const all = () => [...stores.values()].flatMap((some) => [...some.values()])

  function reset(): void {
    for (const store of all()) store.reset()
  }

  events.on("stored", (entry) => {
    for (const store of stores.get(entry.conversationId)?.values() ?? []) store.see(entry)
  })
  events.on("reset", reset)
  events.on("restored", reset)
  events.on("joined", () => {
    const epoch = core.epoch()
    // Randomised, since all clients return together after a restart of the server.
    clock.after(RENEW_MS * (0.25 + core.random()), () => {
      if (core.isCurrent(epoch)) for (const store of all()) store.renew()
    })
  })

  return (id: string, kinds: readonly FileKind[]): ConversationFiles => {
    const some = stores.get(id) ?? new Map<string, FilesStore>()
    stores.set(id, some)
    const store = some.get(kinds.join()) ?? createConversationFiles(core, tools, learn, id, kinds)
    some.set(kinds.join(), store)
    return store
  }
}

function createConversationFiles(
  core: Core,
  { query, same, single, toError, view }: GroupTools,
  learn: Learn,
  id: string,
  kinds: readonly FileKind[],
): FilesStore {
  const path = `/api/privatechat/conversations/${encodeURIComponent(id)}/files`
  const kind = kinds.join() || undefined
  const belongs = ({ file }: ConversationFile) => !kinds.length || kinds.includes(kindOf(file.type))

  let files: readonly ConversationFile[] = []
  let users: Readonly<Record<string, User>> = {}
  let loaded = false
  let cursor: string | undefined
  let pages = 1
  /** The first page has the files of messages up to this entry. */
  let asOf = 0
  /** Messages from entries, by `seq`, and deleted ones: a page in flight may be older. */
  let fresh: ConversationFile[] = []
  let deleted = new Map<string, number>()
  let watched = false
  let error: LamplightError | null = null
  let isTimed = false

  const store = view<ConversationFilesState>(
    noFiles,
    (last) =>
      same(last, {
        status: loaded ? "ready" : error ? "error" : "loading",
        // If the first page failed, only later entries are known.
        files: loaded ? files : noFiles.files,
        users,
        hasMore: cursor !== undefined,
        loadingMore: more.busy(),
        error,
      }),
    () => {
      watched = true
      if (!loaded) void first().catch(() => {})
      return () => {
        watched = false
      }
    },
  )
  const touch = () => store.touch()

  /** The files of these pages and of later entries, without deleted ones. Known files stay the same objects. */
  function show(found: readonly ConversationFile[]): void {
    const before = new Map(files.map((one) => [one.file.id, one]))
    const next = new Map<string, ConversationFile>()
    fresh = fresh.filter(({ messageId }) => !deleted.has(messageId))
    for (const one of [...fresh, ...found])
      if (!deleted.has(one.messageId)) next.set(one.file.id, before.get(one.file.id) ?? one)
    // The sort is stable: files of one message keep its order.
    files = same(
      files,
      [...next.values()].sort((one, other) => other.seq - one.seq),
    )
  }

  /** The next page that has a file, or the last one. */
  async function page(from: string | undefined): Promise<FilesAnswer> {
    for (let empty = 0; ; empty++) {
      const answer = await core.http<FilesAnswer>(path + query({ kind, cursor: from, limit: PAGE }))
      if (answer.data.length || !answer.nextCursor || empty === MAX_EMPTY) return answer
      from = answer.nextCursor
    }
  }

  function meet(answer: FilesAnswer): void {
    if (!answer.users.length) return
    learn(answer.users)
    users = { ...users, ...Object.fromEntries(answer.users.map((user) => [user.id, user])) }
  }

  async function attempt(work: (isCurrent: () => boolean) => Promise<void>): Promise<void> {
    const epoch = core.epoch()
    const me = core.me()
    const isCurrent = () => core.isCurrent(epoch) && me !== null
    try {
      await work(isCurrent)
      if (isCurrent()) error = null
    } catch (thrown) {
      if (!isCurrent()) return
      error = toError(thrown)
      // Drop the list when the user is no longer a member.
      if (error.code === "not_found") clear()
      throw error
    }
  }

  const first = single(
    () =>
      attempt(async (isCurrent) => {
        let next: string | undefined
        let found: ConversationFile[] = []
        let read = 0
        let head: number | undefined
        for (; read < Math.min(pages, MAX_PAGES); ) {
          const answer = await page(next)
          if (!isCurrent()) return
          meet(answer)
          head ??= answer.asOfSeq
          found = [...found, ...answer.data]
          read++
          next = answer.nextCursor
          if (next === undefined) break
        }
        asOf = head ?? 0
        fresh = fresh.filter(({ seq }) => seq > asOf)
        deleted = new Map([...deleted].filter(([, seq]) => seq > asOf))
        cursor = next
        pages = read
        loaded = true
        show(found)
      }),
    touch,
  )
  const more = single(
    () =>
      attempt(async (isCurrent) => {
        const from = cursor
        const answer = await page(from)
        // Reloaded meanwhile.
        if (!isCurrent() || cursor !== from) return
        meet(answer)
        cursor = answer.nextCursor
        pages++
        show([...files, ...answer.data])
      }),
    touch,
  )

  function clear(): void {
    files = []
    fresh = []
    users = {}
    deleted = new Map()
    loaded = false
    cursor = undefined
    pages = 1
    asOf = 0
  }

  /** Randomised, since all clients return together after a restart of the server. */
  function reloadSoon(): void {
    if (isTimed) return
    isTimed = true
    core.clock.after(RELOAD_MS * core.random(), () => {
      isTimed = false
      if (first.busy()) return reloadSoon()
      if (watched) void first().catch(() => {})
      else loaded = false
    })
  }

  function isGone(entry: LogEntry): boolean {
    const me = core.me() ?? ""
    if (entry.kind !== "members" || !("added" in entry)) return false
    return entry.added.includes(me) || entry.removed.includes(me)
  }

  function reset(): void {
    first.drop()
    more.drop()
    clear()
    error = null
    touch()
    if (watched) reloadSoon()
  }

  return {
    ...store,
    see(entry) {
      // A user who is added again has a new log.
      if (isGone(entry)) return reset()
      // A page that is requested later has it.
      if (!loaded && !first.busy()) return
      if (entry.kind === "delete" && "messageId" in entry) deleted.set(entry.messageId, entry.seq)
      else if ("attachments" in entry && entry.attachments?.length && entry.seq > asOf) {
        const { id: messageId, seq, senderId, createdAt } = entry
        if (fresh.some((one) => one.messageId === messageId)) return
        const brought = entry.attachments.map((file) => ({ file, messageId, seq, senderId, createdAt }))
        fresh = [...brought.filter(belongs), ...fresh]
      } else return
      show(files)
      touch()
    },
    renew() {
      if (watched) reloadSoon()
      else loaded = false
    },
    reset,
    loadMore() {
      if (cursor === undefined) return Promise.resolve()
      const done = more()
      touch()
      return done
    },
    reload: () => first(),
  }
}
