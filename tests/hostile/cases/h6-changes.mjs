// Twelve accounts of sixteen sockets each, with texts of the maximum length that change at the maximum rate.
const counts = { changed: 0, limited: 0 }
export const tally = () => counts

/** A follower that counts the bytes of all changes. */
export async function watch({ server, token, Peer }) {
  const follower = await Peer.open(server.url, { token: token("follower"), address: "127.0.78.1" })
  await follower.ask("join_user", { userId: "follower", roster: "diff" })
  const began = performance.now()
  return {
    async end() {
      const seconds = (performance.now() - began) / 1_000
      const frames = follower.frames.filter((frame) => frame.text.includes("presence_changes"))
      const bytes = frames.reduce((sum, frame) => sum + frame.bytes, 0)
      follower.close()
      return {
        framesASecond: Math.round((frames.length / seconds) * 10) / 10,
        kBASecond: Math.round(bytes / seconds / 1_000),
        longest: frames.reduce((most, frame) => Math.max(most, frame.bytes), 0),
      }
    },
  }
}

export async function attack({ loop, open, token }) {
  const peers = await Promise.all(
    Array.from({ length: 192 }, async (_, n) => {
      const userId = `flicker${n % 12}`
      const peer = await open({ token: token(userId) })
      await peer.ask("join_user", { userId, roster: "none" })
      return peer
    }),
  )
  let turn = 0
  await loop(peers.length, async (n) => {
    const label = `${turn++} `.padEnd(66, "\u{1F4A1}")
    const answer = await peers[n].ask("set_activity", { activity: { kind: `k${turn}`, label } })
    if (answer?.success) counts.changed++
    else counts.limited++
  })
  return counts
}

export function check({ attack, seen }, assert) {
  assert.ok(attack.limited > 0, JSON.stringify(attack))
  assert.ok(seen.framesASecond <= 4, JSON.stringify(seen))
  assert.ok(seen.kBASecond <= 200 && seen.longest < 1_100_000, JSON.stringify(seen))
}
