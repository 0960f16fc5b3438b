import { describe, expect, it } from "vitest"
import { buildRows, createRowBuilder, type Groupable, type RowOptions } from "./rows"

const all: RowOptions = { hasOlder: false, unreadAfter: null, selfId: "me" }

function message(seq: number, senderId: string, at: string): Groupable {
  return { key: `k${seq}`, seq, senderId, createdAt: at }
}

function outline(messages: Groupable[], options: RowOptions = all): string[] {
  return buildRows(messages, options).map((row) =>
    row.kind === "message"
      ? row.message.key
      : row.kind === "head"
        ? `head ${row.message.senderId}`
        : row.kind,
  )
}

describe("rows", () => {
  it("26: puts a day and a name before the first message, and groups what follows closely", () => {
    const rows = outline([
      message(1, "asha", "2026-11-24T10:00:00.000Z"),
      message(2, "asha", "2026-11-24T10:01:00.000Z"),
      message(3, "me", "2026-11-24T10:02:00.000Z"),
      message(4, "me", "2026-11-24T10:20:00.000Z"),
    ])
    expect(rows).toEqual(["start", "day", "head asha", "k1", "k2", "head me", "k3", "head me", "k4"])
  })

  it("puts no name over the messages of two people, and a time only after a pause", () => {
    const messages = [
      message(1, "asha", "2026-11-24T10:00:00.000Z"),
      message(2, "me", "2026-11-24T10:01:00.000Z"),
      message(3, "asha", "2026-11-24T10:02:00.000Z"),
      message(4, "asha", "2026-11-24T10:20:00.000Z"),
    ]
    const heads = (options: RowOptions) =>
      buildRows(messages, options).flatMap((row) => (row.kind === "head" ? [row.hasTime] : []))
    expect(heads({ ...all, isNamed: false })).toEqual([true, false, false, true])
    expect(heads(all)).toEqual([true, true, true, true])
  })

  it("puts nothing before the first fetched message", () => {
    const rows = outline([message(7, "asha", "2026-11-24T10:00:00.000Z")], { ...all, hasOlder: true })
    expect(rows).toEqual(["k7"])
  })

  it("F28 shows that newer messages follow until they are loaded", () => {
    const messages = [
      message(1, "asha", "2026-11-24T10:00:00.000Z"),
      message(2, "me", "2026-11-24T10:01:00.000Z"),
    ]
    const build = createRowBuilder<Groupable>()
    const kinds = (shown: Groupable[], hasNewer: boolean) =>
      build(shown, { ...all, hasNewer }).map((row) => (row.kind === "message" ? row.message.key : row.kind))
    const one = messages.slice(0, 1)
    expect(kinds(one, true)).toEqual(["start", "day", "head", "k1", "more"])
    expect(kinds(messages, true)).toEqual(["start", "day", "head", "k1", "head", "k2", "more"])
    expect(kinds(messages, false)).toEqual(["start", "day", "head", "k1", "head", "k2"])
  })

  it("keeps the keys of fetched rows when an older page is prepended", () => {
    const newer = [
      message(3, "asha", "2026-11-24T10:02:00.000Z"),
      message(4, "me", "2026-11-24T10:03:00.000Z"),
    ]
    const older = [
      message(1, "asha", "2026-11-23T10:00:00.000Z"),
      message(2, "asha", "2026-11-24T10:01:00.000Z"),
    ]
    const before = buildRows(newer, { ...all, hasOlder: true }).map((row) => row.key)
    const after = buildRows([...older, ...newer], { ...all, hasOlder: true }).map((row) => row.key)
    expect(after.slice(-before.length)).toEqual(before)
  })

  it("places the unread divider once, before the first unread message of the other", () => {
    const rows = outline(
      [
        message(1, "asha", "2026-11-24T10:00:00.000Z"),
        message(2, "me", "2026-11-24T10:00:10.000Z"),
        message(3, "asha", "2026-11-24T10:00:20.000Z"),
        message(4, "asha", "2026-11-24T10:00:30.000Z"),
      ],
      { ...all, unreadAfter: 1 },
    )
    expect(rows).toEqual([
      "start",
      "day",
      "head asha",
      "k1",
      "head me",
      "k2",
      "unread",
      "head asha",
      "k3",
      "k4",
    ])
  })

  it("shows no divider while the first unread message has not been fetched", () => {
    const rows = outline(
      [message(8, "asha", "2026-11-24T10:00:00.000Z"), message(9, "asha", "2026-11-24T10:00:01.000Z")],
      {
        hasOlder: true,
        unreadAfter: 3,
        selfId: "me",
      },
    )
    expect(rows).toEqual(["k8", "k9"])
  })

  it("gives the same rows when built step by step as when built at once", () => {
    const messages: Groupable[] = []
    for (let i = 1; i <= 60; i += 1) {
      const at = new Date(Date.UTC(2026, 10, 20, 22) + i * i * 40_000).toISOString()
      messages.push(message(i, i % 7 < 3 ? "asha" : "me", at))
    }
    const build = createRowBuilder<Groupable>()
    for (let end = 1; end <= messages.length; end += 1) {
      const options = { ...all, unreadAfter: 20 }
      expect(build(messages.slice(0, end), options)).toEqual(buildRows(messages.slice(0, end), options))
    }
  })

  it("keeps the existing rows when the next of a hundred thousand messages arrives", () => {
    const messages = Array.from({ length: 100_000 }, (_, i) =>
      message(i + 1, i % 3 ? "asha" : "me", new Date(Date.UTC(2026, 0, 1) + i * 60_000).toISOString()),
    )
    const build = createRowBuilder<Groupable>()
    const before = build(messages, all)
    const after = build([...messages, message(100_001, "me", "2026-11-24T10:00:00.000Z")], all)
    expect(after[50_000]).toBe(before[50_000])
    expect(after.length).toBeGreaterThan(before.length)
  })
})
