/**
 * Groups and blocks: making and changing groups, their members, the rows that tell of changes, those whom the user has blocked, and the
 * files of a conversation, which the same panel shows. Loaded when the user has a group, or asks for one of these.
 */
import type { NewGroup } from "../api.js"
import type { Core } from "../core.js"
import type { Page } from "../log.js"
import type { ConversationFiles, Members, SystemRow } from "../types.js"
import type { Conversation, FileKind, GroupAnswer, GroupEntry, HistoryAnswer, User } from "../wire.js"
import { type BlocksStore, createBlocks } from "./blocks.js"
import { foldConversation } from "./conversation.js"
import { createFilesStores } from "./conversation-files.js"
import { createMembers, type MembersStore } from "./members.js"
import { createRequest } from "./request.js"
import { isGroupEntry, systemRow } from "./system-rows.js"
import type { GroupTools } from "./tools.js"

/** The parts of a group that a thread shows besides its messages. */
export interface ThreadExtras {
  systemRows: readonly SystemRow[]
  users: Readonly<Record<string, User>>
}

export interface Groups {
  create(group: NewGroup): Promise<Conversation>
  update(id: string, changes: { name?: string | null; avatarUrl?: string | null }): Promise<void>
  members(id: string): Members
  files(id: string, kinds: readonly FileKind[]): ConversationFiles
  blocks: BlocksStore
  /** An entry is in the log, wherever it came from. */
  see(entry: GroupEntry): void
  /** A conversation after an entry that is newer than it. */
  fold(conversation: Conversation, entry: GroupEntry): Conversation
  /** Fetches the changes of the group among the messages of a page, which has messages only. */
  complete(id: string, page: Page): Promise<void>
  extras(id: string, from: number, to: number): ThreadExtras
}

const CONVERSATIONS = "/api/privatechat/conversations"
const LONG_PAGE = 200
/** The most pages of entries to read for one page of messages: a log can be full of reactions. */
const MAX_PAGES = 10
/** The longest time that messages wait for the changes among them. */
const PATIENCE_MS = 1_500
/** The approximate delay after a connect before data that entries do not carry is reloaded. */
const RENEW_MS = 8_000
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 30_000

export function createGroups(core: Core, tools: GroupTools): Groups {
  const { delayAfter, refusal, query, same, list, touch } = tools
  const { clock, events } = core
  const stores = new Map<string, MembersStore>()
  /** The rows of each conversation, by `seq`. */
  const rows = new Map<string, SystemRow[]>()
  /** The profiles from all answers. */
  const profiles = new Map<string, User>()
  /** The profiles of users whom the rows of a conversation may name. */
  const named = new Map<string, Set<string>>()
  const shown = new Map<string, ThreadExtras>()
  /** Pages of conversations that the list has not identified as groups or direct ones yet. */
  let early: [id: string, page: Page][] = []
  const request = createRequest(core, tools)
  const profile = (userId: string) => tools.person(userId) ?? profiles.get(userId) ?? null
  const blocks = createBlocks(core, tools, request, profile)

  function learn(users: readonly User[]): void {
    for (const { id, name, avatarUrl } of users) profiles.set(id, { id, name, avatarUrl })
  }

  /** A current member may have left by the time a row names them. */
  function remember(id: string): void {
    const members = list.get(id)?.members ?? []
    learn(members)
    name(
      id,
      members.map((member) => member.id),
    )
  }

  function name(id: string, userIds: readonly string[]): void {
    const known = named.get(id) ?? new Set()
    named.set(id, known)
    for (const userId of userIds) known.add(userId)
  }

  function see(entry: GroupEntry): void {
    const { conversationId, seq } = entry
    stores.get(conversationId)?.see(entry)
    const row = systemRow(entry)
    const known = rows.get(conversationId) ?? []
    if (!row || known.some((other) => other.seq === seq)) return
    rows.set(
      conversationId,
      [...known, row].sort((one, other) => one.seq - other.seq),
    )
    if (entry.kind === "members") name(conversationId, [...entry.added, ...entry.removed])
    if (entry.senderId !== null) name(conversationId, [entry.senderId])
    touch(conversationId)
  }

  /** The gaps between the messages of a page, where entries of other kinds are. */
  function gapsOf({ range, entries }: Page): { from: number; to: number } | null {
    if (!range) return null
    const seqs = new Set(entries.map(({ seq }) => seq))
    let from = 0
    let to = 0
    for (let seq = range.from; seq <= range.to; seq++) {
      if (seqs.has(seq)) continue
      from ||= seq
      to = seq
    }
    return from ? { from, to } : null
  }

  async function fetchBetween(id: string, from: number, to: number): Promise<void> {
    // From a longer part of the log, take the entries nearest to its end.
    for (let after = Math.max(from - 1, to - MAX_PAGES * LONG_PAGE); after < to; ) {
      const limit = Math.min(LONG_PAGE, to - after)
      const path = `/api/privatechat/messages/${encodeURIComponent(id)}`
      const answer = await core.http<HistoryAnswer>(path + query({ after, limit, kind: "all" }))
      if (answer.users) learn(answer.users)
      for (const entry of answer.data) if (isGroupEntry(entry)) see(entry)
      const last = answer.data.at(-1)
      if (!last) return
      after = last.seq
    }
  }

  async function complete(id: string, page: Page): Promise<void> {
    if (page.users) {
      learn(page.users)
      name(
        id,
        page.users.map((user) => user.id),
      )
    }
    const conversation = list.get(id)
    if (!conversation) early.push([id, page])
    const gaps = conversation?.kind === "group" ? gapsOf(page) : null
    if (!gaps) return
    const epoch = core.epoch()
    /** Without them the thread would be incomplete without saying so. */
    const attempt = async (failures: number): Promise<void> => {
      try {
        await fetchBetween(id, gaps.from, gaps.to)
      } catch (thrown) {
        const error = tools.toError(thrown)
        if (!error.retryable || !core.isCurrent(epoch)) return
        const delay = delayAfter(error, failures, FIRST_RETRY_MS, LAST_RETRY_MS, core.random)
        clock.after(delay, () => core.isCurrent(epoch) && void attempt(failures + 1))
      }
    }
    await new Promise<void>((resolve) => {
      const cancel = clock.after(PATIENCE_MS, resolve)
      void attempt(0).then(() => {
        cancel()
        resolve()
      })
    })
  }

  function members(id: string): MembersStore {
    const known = stores.get(id)
    if (known) return known
    const made = createMembers(core, tools, { request, profile, learn, made: acknowledged }, id)
    stores.set(id, made)
    return made
  }

  /** Applies the entry of an answer like one from the socket, which may arrive first. */
  function acknowledged(entry: GroupEntry): void {
    events.emit("delivered", entry)
  }

  function reset(): void {
    for (const store of stores.values()) store.reset()
    rows.clear()
    profiles.clear()
    named.clear()
    shown.clear()
    early = []
  }

  events.on("reset", reset)
  events.on("reset", blocks.reset)
  events.on("restored", () => {
    rows.clear()
    for (const store of stores.values()) store.reset()
  })
  events.on("conversation", (id) => {
    remember(id)
    const pages = early.filter(([one]) => one === id)
    early = early.filter(([one]) => one !== id)
    for (const [, page] of pages) void complete(id, page)
    stores.get(id)?.touch()
  })
  events.on("joined", () => {
    const epoch = core.epoch()
    // Randomised, since all clients return together after a restart of the server.
    clock.after(RENEW_MS * (0.25 + core.random()), () => {
      if (!core.isCurrent(epoch)) return
      blocks.renew()
      for (const store of stores.values()) store.renew()
    })
  })
  events.on("tab", ({ type }) => {
    if (type === "blocks") blocks.renew()
  })
  for (const { id } of list.all()) remember(id)

  return {
    async create({ memberIds, clientConversationId = core.newId(), ...rest }) {
      const others = [...new Set(memberIds)].filter((id) => id !== core.me())
      if (!others.length)
        throw refusal("invalid", "A group needs somebody else in it.", "Choose at least one person.")
      const epoch = core.epoch()
      const { conversation } = await request<{ conversation: Conversation }>(CONVERSATIONS, {
        memberIds: others,
        clientConversationId,
        ...rest,
      })
      if (core.isCurrent(epoch)) list.upsert(conversation)
      return conversation
    },
    async update(id, changes) {
      const path = `${CONVERSATIONS}/${encodeURIComponent(id)}`
      const body = { ...changes, clientMessageId: core.newId() }
      const { entry } = await request<GroupAnswer>(path, body, { method: "PATCH" })
      if (entry) acknowledged(entry)
    },
    members,
    files: createFilesStores(core, tools, learn),
    blocks,
    see,
    fold: (conversation, entry) => foldConversation(conversation, entry, core.me(), profile),
    complete,
    extras(id, from, to) {
      const present = new Set(list.get(id)?.members.map((member) => member.id))
      const last = shown.get(id)
      const users: Record<string, User> = {}
      for (const userId of named.get(id) ?? []) {
        const user = present.has(userId) ? null : profile(userId)
        if (user) users[userId] = same(last?.users[userId], user)
      }
      const all = rows.get(id) ?? []
      const next = same(last, {
        systemRows: same(
          last?.systemRows,
          all.filter(({ seq }) => from <= seq && seq <= to),
        ),
        users: same(last?.users, users),
      })
      shown.set(id, next)
      return next
    },
  }
}
