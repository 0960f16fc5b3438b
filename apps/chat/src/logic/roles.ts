import type { Member, Role } from "@lamplight/client"
import { compareText } from "../languages/format"
import { nameOf } from "./members"

/** What a user may do to a member of a group. */
export interface Rights {
  /** The roles that the member may be given, the highest first. */
  roles: readonly Role[]
  canRemove: boolean
}

const RANKS: Record<Role, number> = { owner: 0, admin: 1, member: 2 }
const ROLES: readonly Role[] = ["owner", "admin", "member"]
const none: Rights = { roles: [], canRemove: false }

/** Owners do everything; admins remove all but owners. Nobody does any of it to themselves: they leave. */
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
