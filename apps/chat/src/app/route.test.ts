import { describe, expect, it } from "vitest"
import { hashOf, parseRoute } from "./route"

describe("routes", () => {
  it("parse what they format, for any id", () => {
    for (const id of ["7", "a/b c", "ü#?%"]) {
      expect(parseRoute(hashOf({ view: "thread", conversationId: id }))).toEqual({
        view: "thread",
        conversationId: id,
      })
    }
    const message = { view: "thread", conversationId: "a/b 7", seq: 41 } as const
    expect(parseRoute(hashOf(message))).toEqual(message)
    const details = { view: "thread", conversationId: "a/b details", details: true } as const
    expect(parseRoute(hashOf(details))).toEqual(details)
    const both = { ...message, details: true } as const
    expect(parseRoute(hashOf(both))).toEqual(both)
    expect(parseRoute("#/c/7/0")).toEqual({ view: "thread", conversationId: "7" })
    expect(parseRoute(hashOf({ view: "people" }))).toEqual({ view: "people" })
  })

  it("lead to the list if they are invalid", () => {
    for (const hash of ["", "#", "#/c/", "#/c/%E0%A4%A", "#token=x"]) {
      expect(parseRoute(hash)).toEqual({ view: "conversations" })
    }
  })
})
