// Clients that read what they are sent, however much it is at once.
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { crowd } from "./support/person.mjs"
import { OPEN, serve } from "./support/server.mjs"
import { until } from "./support/wait.mjs"

describe("slow readers", () => {
  for (const transport of ["websocket", "polling"]) {
    test(`H3 a healthy client that joins and watches 150 long profiles is not disconnected (${transport})`, async (t) => {
      const server = await serve(t, OPEN)
      const { connect } = crowd(t, server)
      const ids = Array.from({ length: 150 }, (_, number) => `long-${number}`)
      const profile = {
        roster: "none",
        name: "😀".repeat(100),
        avatarUrl: `https://a.example/${"x".repeat(1_900)}`,
      }
      await Promise.all(
        ids.map(async (userId) => {
          const client = await connect()
          await client.must("join_user", { userId, ...profile })
          await client.must("set_status", { status: "busy", text: "😀".repeat(200) })
        }),
      )
      const reader = await connect({ transports: [transport] })
      // All at once: several times as much as any one answer.
      const asked = [reader.must("join_user", { userId: "reader", roster: "full" })]
      for (let time = 0; time < 3; time++) asked.push(reader.must("watch_presence", { userIds: ids }))
      await Promise.all(asked)
      await until(() => ids.every((userId) => reader.roster.get(userId)?.status === "busy"))
      assert.deepEqual(reader.all("(disconnect)"), [])
    })
  }
})
