/** The user names of people: display names are not unique. */
import { createContext, useContext, useEffect, useMemo, useSyncExternalStore } from "react"
import { confusable } from "../logic/names"

/** How users are identified: by accounts with user names, or by the ids that another application gave them. */
export const HasAccounts = createContext(false)

/** A user name never changes. Null: the user has no account. */
const known = new Map<string, string | null>()
const asking = new Map<string, Promise<void>>()
/** When each user was last requested, by the uptime of the page. */
const askedAt = new Map<string, number>()
/** The minimum delay before a failed request is repeated, however often a list changes. */
const PAUSE_MS = 30_000

/** A counter of learned names, and the components that render names. */
let version = 0
const listeners = new Set<() => void>()

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function learn(id: string, username: string | null): void {
  known.set(id, username)
  version += 1
  for (const listener of listeners) listener()
}

/** Whether to request a user now. */
function isDue(id: string): boolean {
  if (known.has(id)) return false
  return asking.has(id) || performance.now() - (askedAt.get(id) ?? Number.NEGATIVE_INFINITY) >= PAUSE_MS
}

function ask(id: string): Promise<void> {
  let pending = asking.get(id)
  if (!pending) {
    askedAt.set(id, performance.now())
    pending = fetch(`/api/users/${encodeURIComponent(id)}`, { headers: { accept: "application/json" } })
      .then(async (answer) => {
        if (answer.ok) learn(id, ((await answer.json()) as { username?: string }).username ?? null)
        else if (answer.status === 404) learn(id, null)
      })
      // Without a network it stays unknown, and is requested with the next list.
      .catch(() => {})
      .finally(() => asking.delete(id))
    asking.set(id, pending)
  }
  return pending
}

/** Requests in flight: a list of hundreds with one name must not use up the user's read limit. */
const AT_ONCE = 4

interface Person {
  id: string
  name: string
}

/**
 * By id, "@asha" for those in a list who could be taken for one another, or with `all` for everybody in it. With accounts this is the
 * user name, once it is known, else the id.
 */
export function useHandles(people: readonly Person[], all = false): ReadonlyMap<string, string> {
  const hasAccounts = useContext(HasAccounts)
  const names = useSyncExternalStore(
    subscribe,
    () => version,
    () => 0,
  )
  const wanted = useMemo(() => (all ? people.map(({ id }) => id) : confusable(people)), [people, all])

  useEffect(() => {
    if (!hasAccounts) return
    const left = wanted.filter(isDue)
    if (left.length === 0) return
    let isOver = false
    const work = async () => {
      for (let id = left.shift(); id !== undefined && !isOver; id = left.shift()) await ask(id)
    }
    for (let number = 0; number < AT_ONCE; number += 1) void work()
    return () => {
      isOver = true
    }
  }, [hasAccounts, wanted])

  // biome-ignore lint/correctness/useExhaustiveDependencies: another name may be known
  return useMemo(() => {
    const handles = new Map<string, string>()
    for (const id of wanted) {
      const handle = hasAccounts ? known.get(id) : id
      if (handle) handles.set(id, `@${handle}`)
    }
    return handles
  }, [wanted, hasAccounts, names])
}
