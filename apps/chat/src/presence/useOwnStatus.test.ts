import { expect, it } from "vitest"
import { follow, ownStatus } from "./useOwnStatus"

it("F33 the user's own status is the one chosen or seen last", () => {
  let known = follow({ chosen: "online", seen: "unknown", isSeenNewer: false }, "online", "online")
  expect(ownStatus(known)).toEqual({ state: "online", chosen: "online" })
  // Without input.
  known = follow(known, "online", "away")
  expect(ownStatus(known)).toEqual({ state: "away", chosen: "online" })
  // Chosen here: at once.
  known = follow(known, "busy", "away")
  expect(ownStatus(known)).toEqual({ state: "busy", chosen: "busy" })
  known = follow(known, "busy", "busy")
  // Chosen elsewhere.
  known = follow(known, "busy", "online")
  expect(ownStatus(known)).toEqual({ state: "online", chosen: "online" })
  expect(follow(known, "busy", "online")).toBe(known)
  // A loss of the feed changes nothing that was chosen here.
  known = follow(known, "invisible", "online")
  known = follow(known, "invisible", "offline")
  expect(ownStatus(known)).toEqual({ state: "invisible", chosen: "invisible" })
  expect(ownStatus(follow(known, "invisible", "unknown"))).toEqual({
    state: "invisible",
    chosen: "invisible",
  })
})
