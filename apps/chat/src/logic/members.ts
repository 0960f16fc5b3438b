import { words } from "../strings"

/** The part of a member that names need. */
interface Named {
  id: string
  name: string
}

export function nameOf({ id, name }: Named): string {
  return name || id
}

/** All members but the user; the user where there is nobody else. */
function othersIn<M extends Named>(members: readonly M[], selfId: string): readonly M[] {
  const others = members.filter((member) => member.id !== selfId)
  return others.length > 0 ? others : members
}

/** The title of a conversation: the names of the others. */
export function titleOf(members: readonly Named[], selfId: string): string {
  return words.names(othersIn(members, selfId).map(nameOf))
}

/** The text whose initials stand for a conversation of several people. */
export function faceOf(members: readonly Named[], selfId: string): string {
  return othersIn(members, selfId)
    .slice(0, 2)
    .map((member) => nameOf(member).trim().split(/\s+/)[0])
    .join(" ")
}

export function namesById(members: readonly Named[]): ReadonlyMap<string, string> {
  return new Map(members.map((member) => [member.id, nameOf(member)]))
}
