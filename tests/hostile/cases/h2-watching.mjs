// Two hundred sockets of twelve users, each of which repeatedly watches a thousand unknown users.
const counts = { watched: 0, limited: 0, refused: 0 }
export const tally = () => counts

export async function attack({ loop, open, token, count }) {
  const peers = []
  await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const peer = await open({ token: token(`watcher${n % 12}`) })
      peers.push(peer)
    }),
  )
  await loop(count, async (n) => {
    const userIds = Array.from({ length: 1_000 }, (_, k) => `nobody-of-a-long-name-${n}-${k}`)
    const answer = await peers[n].ask("watch_presence", { userIds })
    if (answer?.success) counts.watched++
    else if (answer?.code === "rate_limited") counts.limited++
    else counts.refused++
  })
  return counts
}

export function check({ attack }, assert) {
  // Refused for the rate, or for the number of users that all sockets of a user may watch.
  assert.ok(attack.watched > 0 && attack.limited + attack.refused > 0, JSON.stringify(attack))
  assert.ok(attack.watched < 400, JSON.stringify(attack))
}
