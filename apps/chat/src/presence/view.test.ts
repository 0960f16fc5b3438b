import type { PresenceView } from "@lamplight/client"
import { describe, expect, it } from "vitest"
import { presenceDetail } from "./view"

const now = new Date("2026-03-03T12:00:00Z")
const away = (seconds: number, text: string | null = null): PresenceView => ({
  userId: "1",
  user: null,
  status: "away",
  text,
  lastActiveAt: new Date(now.getTime() - seconds * 1_000).toISOString(),
  lastSeenAt: null,
  activities: [],
})

describe("the line under a name", () => {
  it("omits the last activity within the first minute of being away", () => {
    expect(presenceDetail(away(59), now)).toBe("Away")
    expect(presenceDetail(away(60), now)).toBe("Away, active 1 min. ago")
    // A clock that is behind the server's.
    expect(presenceDetail(away(-30), now)).toBe("Away")
  })

  it("isolates the direction of the user's status text", () => {
    expect(presenceDetail(away(0, "\u202Eback\u2069 soon"), now)).toBe("Away · \u2068\u202Eback soon\u2069")
  })
})
