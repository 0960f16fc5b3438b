import { words } from "../strings"

/** The part of a member that names need. */
interface Named {
  id: string
  name: string
  /** The account was deleted, and has no name. */
  deleted?: true
}

export function nameOf({ id, name, deleted }: Named): string {
  return deleted ? words.thread.deletedAccount : name || id
}

/** The other person of a conversation: by the newest profile, except that nothing brings a deleted account back. */
export const newestOf = <M extends Named, O extends M | null>(
  presence: M | null | undefined,
  other: O,
): M | O => (other?.deleted ? other : (presence ?? other))

/** Whether this is what `nameOf` gives a deleted account. */
export const isNameOfDeleted = (name: string): boolean => name === words.thread.deletedAccount

/** All members except the user; the user if there are no others. */
function othersIn<M extends Named>(members: readonly M[], selfId: string): readonly M[] {
  const others = members.filter((member) => member.id !== selfId)
  return others.length > 0 ? others : members
}

/** The parts of a conversation that its title needs. */
interface Titled {
  name?: string | null
  members: readonly Named[]
  memberCount?: number
}

/** The title of a conversation: the group's name, or the names of the others. */
export function conversationTitle({ name, members, memberCount }: Titled, selfId: string): string {
  if (name) return name
  const names = othersIn(members, selfId).map(nameOf)
  return words.names(names, names.length + Math.max(0, (memberCount ?? 0) - members.length))
}

export function namesById(members: readonly Named[]): ReadonlyMap<string, string> {
  return new Map(members.map((member) => [member.id, nameOf(member)]))
}
