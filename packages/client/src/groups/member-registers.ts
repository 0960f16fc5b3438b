/**
 * The members of a conversation, from pages of members and entries of its log, in any order of arrival: for each user the
 * newest entry wins. Pure functions.
 */
import type { MembersEntry, Role } from "../wire.js"

/** The known state of one user, with the `seq` of the entries that it came from; 0: from a page. */
export interface Register {
  readonly isIn: boolean
  readonly at: number
  readonly role: Role
  readonly roleAt: number
}

export type Registers = ReadonlyMap<string, Register>

const unknownMember: Register = { isIn: false, at: -1, role: "member", roleAt: -1 }

/** Applies an entry. The same object if it changes nothing. */
export function applyMembers(known: Registers, { seq, added, removed, roles }: MembersEntry): Registers {
  const next = new Map(known)
  let isChanged = false
  const put = (userId: string, isIn: boolean | null, role: Role | null) => {
    const was = next.get(userId) ?? unknownMember
    const isNewer = isIn !== null && seq > was.at
    const isNewRole = role !== null && seq > was.roleAt
    if (!isNewer && !isNewRole) return
    isChanged = true
    next.set(userId, {
      isIn: isNewer ? isIn : was.isIn,
      at: isNewer ? seq : was.at,
      role: isNewRole ? role : was.role,
      roleAt: isNewRole ? seq : was.roleAt,
    })
  }
  for (const id of added) put(id, true, roles[id] ?? "member")
  for (const id of removed) put(id, false, null)
  for (const [id, role] of Object.entries(roles)) if (!added.includes(id)) put(id, null, role)
  return isChanged ? next : known
}

/** Applies a page to users without a known entry. */
export function applyPage(known: Registers, page: readonly { id: string; role: Role }[]): Registers {
  const next = new Map(known)
  for (const { id, role } of page) {
    const was = next.get(id) ?? unknownMember
    next.set(id, {
      isIn: was.at > 0 ? was.isIn : true,
      at: Math.max(was.at, 0),
      role: was.roleAt > 0 ? was.role : role,
      roleAt: Math.max(was.roleAt, 0),
    })
  }
  return next
}

/** The state from entries after `seq`, which a page requested now may lack. */
export function since(known: Registers, seq: number): Registers {
  return new Map([...known].filter(([, { at, roleAt }]) => at > seq || roleAt > seq))
}
