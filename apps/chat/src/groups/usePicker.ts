import type { User } from "@lamplight/client"
import { useConversations, useRoster } from "@lamplight/react"
import { useMemo, useState } from "react"
import { compareText } from "../languages/format"
import { nameOf } from "../logic/members"
import { fold } from "../logic/names"
import { useDirectory } from "../people/useDirectory"

/** The limit of listed people: beyond it the search finds them. */
const SHOWN = 100

/** People to choose from: partners of conversations, online users, and results of the directory. */
export function usePicker(selfId: string, isLeftOut: (userId: string) => boolean) {
  const [query, setQuery] = useState("")
  const [chosen, setChosen] = useState<readonly User[]>([])
  const { items } = useConversations()
  const roster = useRoster()
  const text = query.trim()
  const directory = useDirectory(text)

  const isLoading = directory.status === "loading"

  const known = useMemo(() => {
    const all = new Map<string, User>()
    for (const { other } of items) if (other) all.set(other.id, other)
    for (const { user } of roster.users) if (user) all.set(user.id, user)
    return all
  }, [items, roster.users])

  const found = useMemo(() => {
    const wanted = fold(text)
    const isMatch = (user: User) => !wanted || fold(`${user.name} ${user.id}`).includes(wanted)
    const matches = [...known.values()].filter(isMatch)
    // Until the results of this query arrive, those of the one before it that match this one too: Enter picks the first.
    const others = isLoading ? directory.users.filter(isMatch) : directory.users
    const all = new Map([...matches, ...others].map((user) => [user.id, user]))
    return [...all.values()]
      .filter(({ id }) => id !== selfId && !isLeftOut(id))
      .sort((one, other) => compareText(nameOf(one), nameOf(other)))
      .slice(0, SHOWN)
  }, [known, text, directory.users, isLoading, selfId, isLeftOut])

  const isChosen = (id: string) => chosen.some((user) => user.id === id)
  return {
    query,
    setQuery,
    chosen,
    isChosen,
    found,
    status: directory.status,
    retry: directory.retry,
    /** If any id can be written to: the typed one, unless a listed person has it. */
    unlistedId:
      directory.anyone &&
      !isLoading &&
      text &&
      text !== selfId &&
      !isLeftOut(text) &&
      !found.some(({ id }) => id === text)
        ? text
        : null,
    toggle(user: User) {
      setChosen((before) =>
        before.some(({ id }) => id === user.id)
          ? before.filter(({ id }) => id !== user.id)
          : [...before, user],
      )
    },
  }
}

export type Picker = ReturnType<typeof usePicker>
