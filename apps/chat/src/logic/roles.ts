import type { Member, Role } from "@lamplight/client"
import { compareText } from "../languages/format"
import { nameOf } from "./members"

/** The actions that a user may take on a member of a group. */
export interface Rights {
  /** The roles that the member may be given, the highest first. */
  roles: readonly Role[]
  canRemove: boolean
}

const RANKS: Record<Role, number> = { owner: 0, admin: 1, member: 2 }
const ROLES: readonly Role[] = ["owner", "admin", "member"]
const none: Rights = { roles: [], canRemove: false }

/**
 * Owners may do everything; admins may remove all members except owners. Users cannot act on themselves,
 * except leave.
 */
export function rightsOver(member: Member, role: Role, selfId: string): Rights {
  if (member.id === selfId || role === "member") return none
  if (role === "owner") return { roles: ROLES.filter((one) => one !== member.role), canRemove: true }
  return { roles: [], canRemove: member.role !== "owner" }
}

/** The user first, then owners, admins and members, each by name. */
export function sortMembers(members: readonly Member[], selfId: string): Member[] {
  const place = (member: Member) => (member.id === selfId ? -1 : RANKS[member.role])
  return [...members].sort(
    (one, other) => place(one) - place(other) || compareText(nameOf(one), nameOf(other)),
  )
}
