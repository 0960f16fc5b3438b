import { words } from "../strings"

/** A member, as far as naming goes. */
interface Named {
  id: string
  name: string
}

export function nameOf({ id, name }: Named): string {
  return name || id
}

/** Everybody in a conversation but oneself; oneself where there is nobody else. */
function othersIn<M extends Named>(members: readonly M[], selfId: string): readonly M[] {
  const others = members.filter((member) => member.id !== selfId)
  return others.length > 0 ? others : members
}

/** What a conversation is called: by the names of the others. */
export function titleOf(members: readonly Named[], selfId: string): string {
  return words.names(othersIn(members, selfId).map(nameOf))
}

/** A name whose initials stand for a conversation of several: one of each of the first two. */
export function faceOf(members: readonly Named[], selfId: string): string {
  return othersIn(members, selfId)
    .slice(0, 2)
    .map((member) => nameOf(member).trim().split(/\s+/)[0])
    .join(" ")
}

export function namesById(members: readonly Named[]): ReadonlyMap<string, string> {
  return new Map(members.map((member) => [member.id, nameOf(member)]))
}
