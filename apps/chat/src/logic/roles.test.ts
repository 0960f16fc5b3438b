import type { Member, Role } from "@lamplight/client"
import { describe, expect, it } from "vitest"
import { rightsOver, sortMembers } from "./roles"

const member = (id: string, role: Role): Member => ({ id, name: id.toUpperCase(), avatarUrl: null, role })

describe("roles", () => {
  it("decide what a user may do to a member", () => {
    expect(rightsOver(member("b", "member"), "owner", "a")).toEqual({
      roles: ["owner", "admin"],
      canRemove: true,
    })
    expect(rightsOver(member("b", "owner"), "owner", "a")).toEqual({
      roles: ["admin", "member"],
      canRemove: true,
    })
    expect(rightsOver(member("b", "admin"), "admin", "a")).toEqual({ roles: [], canRemove: true })
    expect(rightsOver(member("b", "owner"), "admin", "a")).toEqual({ roles: [], canRemove: false })
    expect(rightsOver(member("b", "member"), "member", "a")).toEqual({ roles: [], canRemove: false })
    expect(rightsOver(member("a", "owner"), "owner", "a")).toEqual({ roles: [], canRemove: false })
  })

  it("order the members, the user first", () => {
    const all = [member("d", "member"), member("c", "admin"), member("b", "member"), member("o", "owner")]
    expect(sortMembers([...all, member("me", "member")], "me").map(({ id }) => id)).toEqual([
      "me",
      "o",
      "c",
      "b",
      "d",
    ])
  })
})
