import type { SystemChange, SystemRow } from "@lamplight/client"
import { describe, expect, it } from "vitest"
import { buildRows, createRowBuilder, type Groupable, type RowOptions } from "./rows"
import { systemText, withSystem } from "./system"

const all: RowOptions = { hasOlder: false, unreadAfter: null, selfId: "me" }
const at = "2026-11-24T10:00:00.000Z"
const message = (seq: number | null, senderId: string): Groupable => ({
  key: `k${seq}`,
  seq,
  senderId,
  createdAt: at,
})
const system = (seq: number, changes: SystemChange[], senderId: string | null = "asha"): SystemRow => ({
  key: `s${seq}`,
  conversationId: "g",
  seq,
  createdAt: at,
  senderId,
  changes,
})
const outline = (messages: Groupable[], rows: SystemRow[], options = all) =>
  buildRows(withSystem(messages, rows), options).map((row) => row.key.replace(/^day:.*/, "day"))

describe("changes of a group in its thread", () => {
  it("follow the order of the log, come before unsent messages, and end the group of a sender", () => {
    const messages = [message(2, "asha"), message(4, "asha"), message(null, "me")]
    const rows = [system(1, []), system(3, []), system(5, [])]
    expect(outline(messages, rows)).toEqual([
      ...["start", "day", "s1", "head:k2", "k2", "s3", "head:k4", "k4", "s5", "head:knull", "knull"],
    ])
    expect(outline([], [system(1, [])])).toEqual(["start", "day", "s1"])
  })

  it("are never the first unread message", () => {
    const messages = [message(1, "asha"), message(3, "asha")]
    expect(outline(messages, [system(2, [])], { ...all, unreadAfter: 1 })).toEqual([
      ...["start", "day", "head:k1", "k1", "s2", "unread", "head:k3", "k3"],
    ])
  })

  it("keep the rows before them when they are appended", () => {
    const build = createRowBuilder<Groupable>()
    const messages = [message(1, "asha"), message(2, "me")]
    const rows = [system(3, [])]
    build(withSystem(messages, []), all)
    const next = build(withSystem(messages, rows), all)
    expect(next).toEqual(buildRows(withSystem(messages, rows), all))
    const more = [...messages, message(4, "me")]
    expect(build(withSystem(more, rows), all)).toEqual(buildRows(withSystem(more, rows), all))
  })

  it("name the actor, the change and the members", () => {
    const names: Record<string, string> = { asha: "Asha", ben: "Ben", me: "Nobody" }
    const sentences = (changes: SystemChange[], senderId: string | null = "asha") =>
      systemText(system(1, changes, senderId), "me", (id) => names[id] ?? id)
        .join(" / ")
        .replace(/[\u2066-\u2069]/g, "")
    expect(sentences([{ kind: "created", userIds: ["me"] }])).toBe("Asha created the group")
    expect(sentences([{ kind: "added", userIds: ["ben", "me"] }])).toBe("Asha added you and Ben")
    expect(sentences([{ kind: "removed", userIds: ["ben"] }], "me")).toBe("You removed Ben")
    expect(sentences([{ kind: "added", userIds: ["ben"] }], null)).toBe("Added to the group: Ben")
    expect(sentences([{ kind: "role", userId: "me", role: "admin" }])).toBe("Asha made you an admin")
    expect(sentences([{ kind: "left" }, { kind: "role", userId: "me", role: "owner" }])).toBe(
      "Asha left the group / You are now an owner",
    )
    expect(sentences([{ kind: "renamed", name: "Trip" }])).toBe("Asha named the group “Trip”")
    expect(sentences([{ kind: "renamed", name: null }], "me")).toBe("You removed the name of the group")
    expect(sentences([{ kind: "picture", avatarUrl: null }])).toBe("Asha removed the picture of the group")
  })
})
