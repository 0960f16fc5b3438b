import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { words } from "../strings"
import { dayKey, daysBetween, nextMidnight } from "./days"
import { buildRows } from "./rows"
import { ago, dayTitle, listTime } from "./time"

const zone = process.env.TZ

describe("24: days where the clocks change", () => {
  beforeEach(() => {
    process.env.TZ = "Europe/Berlin"
  })
  afterEach(() => {
    process.env.TZ = zone
  })

  it("24: puts one separator before each local day, in the nights of the change too", () => {
    const separators = (...times: string[]) =>
      buildRows(
        times.map((createdAt, i) => ({ key: createdAt, senderId: "asha", createdAt, seq: i + 1 })),
        { hasOlder: false, unreadAfter: null, selfId: "asha" },
      ).flatMap((row) => (row.kind === "day" ? [dayKey(row.date)] : []))
    // 23 hours from midnight to midnight: in UTC the first and the last of them are on two days, each beside another one.
    expect(
      separators(
        "2026-03-28T22:59:59Z",
        "2026-03-28T23:00:00Z",
        "2026-03-29T00:59:00Z",
        "2026-03-29T21:59:59Z",
        "2026-03-29T22:00:00Z",
      ),
    ).toEqual(["2026-3-28", "2026-3-29", "2026-3-30"])
    // 25 hours, with two o'clock twice.
    expect(
      separators(
        "2026-10-24T21:59:59Z",
        "2026-10-24T22:00:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-25T22:59:59Z",
        "2026-10-25T23:00:00Z",
      ),
    ).toEqual(["2026-10-24", "2026-10-25", "2026-10-26"])
  })

  it("24: counts the 23-hour day in spring as one day", () => {
    const before = new Date("2026-03-28T23:30:00+01:00")
    const after = new Date("2026-03-29T23:30:00+02:00")
    expect(daysBetween(before, after)).toBe(1)
    expect(nextMidnight(new Date("2026-03-29T01:30:00+01:00")).toISOString()).toBe("2026-03-29T22:00:00.000Z")
  })

  it("counts the 25-hour day in autumn as one day, and both its two o'clocks as the same day", () => {
    const first = new Date("2026-10-25T02:30:00+02:00")
    const second = new Date("2026-10-25T02:30:00+01:00")
    expect(dayKey(first)).toBe(dayKey(second))
    expect(daysBetween(first, second)).toBe(0)
    expect(daysBetween(first, new Date("2026-10-26T00:10:00+01:00"))).toBe(1)
    expect(nextMidnight(first).toISOString()).toBe("2026-10-25T23:00:00.000Z")
  })

  it("labels a message from one minute before midnight as yesterday's", () => {
    const now = new Date("2026-11-24T00:01:00+01:00")
    const then = new Date("2026-11-23T23:59:00+01:00")
    expect(dayTitle(then, now, words.time, "en-GB")).toBe("Yesterday")
    expect(dayTitle(now, now, words.time, "en-GB")).toBe("Today")
    expect(listTime(then, now, words.time, "en-GB")).toBe("Yesterday")
    expect(ago(then, now, words.time, "en-GB")).toBe("2 min ago")
  })
})

describe("times in words", () => {
  const now = new Date(2026, 10, 24, 14, 0)

  it("names days by how near they are", () => {
    expect(dayTitle(new Date(2026, 10, 20, 9), now, words.time, "en-GB")).toBe("Friday")
    expect(dayTitle(new Date(2026, 10, 17, 9), now, words.time, "en-GB")).toMatch(/^Tuesday,? 17 November$/)
    expect(dayTitle(new Date(2025, 10, 17, 9), now, words.time, "en-GB")).toMatch(
      /^Monday,? 17 November 2025$/,
    )
    expect(listTime(new Date(2026, 10, 24, 9, 5), now, words.time, "en-GB")).toMatch(/^0?9:05$/)
    expect(listTime(new Date(2026, 10, 3), now, words.time, "en-GB")).toBe("3 Nov")
  })

  it("are never in the future", () => {
    expect(ago(new Date(now.getTime() + 9_000), now, words.time)).toBe("just now")
    expect(ago(new Date(now.getTime() - 5 * 60_000), now, words.time, "en-GB")).toBe("5 min ago")
    expect(ago(new Date(now.getTime() - 3 * 3_600_000), now, words.time, "en-GB")).toBe("3 hr ago")
    expect(ago(new Date(2026, 10, 23, 8, 2), now, words.time, "en-GB")).toMatch(/^yesterday at 0?8:02$/)
    expect(ago(new Date(2026, 10, 3, 8, 2), now, words.time, "en-GB")).toMatch(/^3 Nov at 0?8:02$/)
  })
})
