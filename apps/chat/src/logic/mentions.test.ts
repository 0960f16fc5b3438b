import { describe, expect, it } from "vitest"
import { mentionedIds, mentionQuery, mentionsIn, offered } from "./mentions"

const people = [
  { id: "1", name: "Ben" },
  { id: "2", name: "Ben Ito" },
  { id: "3", name: "Zoë" },
  { id: "4", name: "Zoë" },
]

describe("mentions", () => {
  it("match the longest name after an @, which ends at the end of a word", () => {
    const text = "@Ben Ito and @Ben, not @Benjamin nor me@Ben.org"
    expect(mentionsIn(text, people).map(({ start, end, id }) => [id, text.slice(start, end)])).toEqual([
      ["2", "@Ben Ito"],
      ["1", "@Ben"],
    ])
    expect(mentionsIn("@", people)).toEqual([])
    expect(mentionsIn("(@Zoë)", people)).toEqual([{ start: 1, end: 5, id: "3" }])
  })

  it("are sent once each, and the chosen one of several with one name", () => {
    expect(mentionedIds("@Ben @Ben @Zoë", people)).toEqual(["1", "3"])
    expect(mentionedIds("@Zoë", people, new Set(["4"]))).toEqual(["4"])
  })

  it("start with an @ at the start of a word", () => {
    expect(mentionQuery("hi @be", 6)).toEqual({ start: 3, query: "be" })
    expect(mentionQuery("@", 1)).toEqual({ start: 0, query: "" })
    expect(mentionQuery("@ben i", 6)).toEqual({ start: 0, query: "ben i" })
    for (const text of ["ben@example", "no", "@ ben", "@ben\n"])
      expect(mentionQuery(text, text.length)).toBeNull()
    // Only what is before the caret.
    expect(mentionQuery("hi @be there", 6)).toEqual({ start: 3, query: "be" })
  })

  it("are suggested by the prefix of any word of a name, ignoring case and diacritics", () => {
    const ids = (query: string) => offered(query, people).map(({ id }) => id)
    expect(ids("")).toEqual(["1", "2", "3", "4"])
    expect(ids("BEN")).toEqual(["1", "2"])
    expect(ids("it")).toEqual(["2"])
    expect(ids("zoe")).toEqual(["3", "4"])
    expect(ids("x")).toEqual([])
    expect(ids("ben i")).toEqual(["2"])
    // A whole name and a space: it is written.
    expect(ids("ben ")).toEqual([])
    expect(ids("it ")).toEqual([])
  })
})
