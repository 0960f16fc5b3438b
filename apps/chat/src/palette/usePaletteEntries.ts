import type { ConversationItem, PresenceView, SearchHit, User } from "@lamplight/client"
import { useConversations, useRoster, useSearch } from "@lamplight/react"
import { useMemo } from "react"
import { conversationTitle } from "../logic/members"
import { fold } from "../logic/names"
import { rank, ranked } from "../logic/rank"
import { useDirectory } from "../people/useDirectory"
import { words } from "../strings"
import type { PaletteAction } from "./actions"
import { recentConversations } from "./recent"

/** One choice of the palette. */
export type Entry =
  | { kind: "conversation"; key: string; item: ConversationItem }
  | { kind: "person"; key: string; user: User }
  | { kind: "action"; key: string; action: PaletteAction }
  | { kind: "message"; key: string; hit: SearchHit; item: ConversationItem | undefined }
  | { kind: "search"; key: string; query: string }

/** The person of a choice; null for several or none. */
export function personOf(entry: Entry): User | null {
  if (entry.kind === "person") return entry.user
  return entry.kind === "conversation" ? entry.item.other : null
}

/** Choices under a title. */
export interface Section {
  key: string
  title: string
  entries: readonly Entry[]
}

/** The most entries of each kind. */
const MOST = { recent: 6, names: 7, people: 5, actions: 5, messages: 5 }
/** A name that was opened lately comes before others that fit as well. */
const LATELY = 4
/** Users search for names more often than for actions. */
const ACTION_MALUS = 15

const conversation = (item: ConversationItem): Entry => ({ kind: "conversation", key: `c ${item.id}`, item })
const person = (user: User): Entry => ({ kind: "person", key: `p ${user.id}`, user })
const doing = (action: PaletteAction): Entry => ({ kind: "action", key: `a ${action.key}`, action })

/**
 * The entries for a query: names and actions at once, people of the directory and messages once the server has
 * answered.
 */
export function usePaletteEntries(props: {
  query: string
  self: User
  selected: string | null
  actions: readonly PaletteAction[]
}) {
  const { self, selected, actions } = props
  const query = props.query.trim()
  const directory = useDirectory(query)
  const found = useSearch(query)
  const { items, byId, byOther, lately, known } = useKnown(self.id)
  const folded = useMemo(
    () =>
      actions.map((action) => ({ action, names: [action.label, ...action.also.split(/[,،、]/)].map(fold) })),
    [actions],
  )

  const recent = useMemo(
    () =>
      [...items]
        .sort((a, b) => place(lately, a.id) - place(lately, b.id))
        .filter(({ id }) => id !== selected)
        .slice(0, MOST.recent),
    [items, lately, selected],
  )

  /** Names and actions, whichever fits better first. */
  const here = useMemo(() => {
    const wanted = fold(query)
    const byName = ({ name, bonus }: { name: string; bonus: number }) => {
      const score = rank(wanted, name)
      return score && score + bonus
    }
    const names = ranked(known, byName, MOST.names)
    const fitting = ranked(
      folded,
      (one) => Math.max(...one.names.map((name) => rank(wanted, name))),
      MOST.actions,
    )
    const sections = [
      section(
        "names",
        words.palette.names,
        names.map(({ one }) => one.entry),
      ),
      section(
        "actions",
        words.palette.actions,
        fitting.map(({ one }) => doing(one.action)),
      ),
    ]
    const isActionBetter = (fitting[0]?.score ?? 0) - ACTION_MALUS > (names[0]?.score ?? 0)
    return isActionBetter ? sections.reverse() : sections
  }, [query, known, folded])

  const sections = useMemo((): Section[] => {
    if (!query)
      return [
        section("recent", words.palette.recent, recent.map(conversation)),
        section("actions", words.palette.actions, actions.map(doing)),
      ]
    const listed = new Set(here.flatMap(({ entries }) => entries.map(({ key }) => key)))
    const people = directory.users
      .filter(({ id }) => id !== self.id)
      .map((user) => {
        // Found by the user name, perhaps.
        const item = byOther.get(user.id)
        return item ? conversation(item) : person(user)
      })
      .filter(({ key }) => !listed.has(key))
    const messages = found.hits.slice(0, MOST.messages).map(
      (hit): Entry => ({
        kind: "message",
        key: `m ${hit.message.id}`,
        hit,
        item: byId.get(hit.message.conversationId),
      }),
    )
    return [
      ...here,
      section("people", words.palette.people, people.slice(0, MOST.people)),
      section("messages", words.palette.messages, [...messages, { kind: "search", key: "search", query }]),
    ]
  }, [query, recent, actions, here, directory.users, found.hits, self.id, byOther, byId])

  // A query without a letter or digit is refused, and finds nothing.
  const searchError = found.error?.code === "invalid" ? null : found.error
  const isDirectoryFailed = directory.status === "error"
  return {
    sections: useMemo(() => sections.filter(({ entries }) => entries.length > 0), [sections]),
    isLoading: query !== "" && (found.status === "loading" || directory.status === "loading"),
    isFailed: query !== "" && (searchError !== null || isDirectoryFailed),
    retry() {
      if (searchError) found.retry()
      if (isDirectoryFailed) directory.retry()
    },
  }
}

/** The conversations, and the people who are online without one, each with the name that a query is compared with. */
function useKnown(selfId: string) {
  const { items: shown, archived } = useConversations()
  const roster = useRoster()
  const items = useMemo(() => [...shown, ...archived], [shown, archived])
  const byId = useMemo(() => new Map(items.map((item) => [item.id, item])), [items])
  const byOther = useMemo(
    () => new Map(items.flatMap((item) => (item.other ? [[item.other.id, item] as const] : []))),
    [items],
  )
  const lately = useMemo(() => recentConversations(), [])
  const known = useMemo(
    () => [
      ...items.map((item) => ({
        entry: conversation(item),
        name: fold(conversationTitle(item, selfId)),
        bonus: Math.max(0, LATELY - place(lately, item.id)),
      })),
      ...strangers(roster.users, selfId, byOther).map((user) => ({
        entry: person(user),
        name: fold(user.name || user.id),
        bonus: 0,
      })),
    ],
    [items, selfId, lately, roster.users, byOther],
  )
  return { items, byId, byOther, lately, known }
}

const section = (key: string, title: string, entries: readonly Entry[]): Section => ({ key, title, entries })

/** Those that were not opened lately stay in their order. */
const place = (lately: readonly string[], id: string) => {
  const at = lately.indexOf(id)
  return at < 0 ? Number.MAX_SAFE_INTEGER : at
}

function strangers(
  users: readonly PresenceView[],
  selfId: string,
  byOther: ReadonlyMap<string, ConversationItem>,
): User[] {
  return users
    .filter(({ userId }) => userId !== selfId && !byOther.has(userId))
    .map(({ userId, user }) => user ?? { id: userId, name: "", avatarUrl: null })
}
