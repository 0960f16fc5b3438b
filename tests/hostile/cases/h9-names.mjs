// Two tokens of one second that give one user two names, used alternately: each change would be sent to everyone.
const counts = { asked: 0, limited: 0 }
export const tally = () => counts

export async function watch({ server, token, Peer }) {
  const follower = await Peer.open(server.url, { token: token("follower"), address: "127.0.78.1" })
  await follower.ask("join_user", { userId: "follower", roster: "diff" })
  return {
    async end() {
      const changes = follower.frames.filter((frame) => frame.text.includes("flipper")).length
      follower.close()
      return { changes }
    },
  }
}

export async function attack({ loop, get, open, token }) {
  const iat = Math.floor(Date.now() / 1_000)
  const tokens = ["One", "Other"].map((name) => token("flipper", { iat, name }))
  const peer = await open({ token: tokens[0] })
  await peer.ask("join_user", { userId: "flipper", roster: "none" })
  let turn = 0
  await loop(10, async () => {
    const { status } = await get("/api/privatechat/conversations", { as: tokens[turn++ % 2] })
    counts.asked++
    if (status === 429) counts.limited++
  })
  return counts
}

export function check({ attack, seen }, assert) {
  assert.ok(attack.asked > 20)
  assert.ok(seen.changes <= 8, JSON.stringify({ attack, seen }))
}
