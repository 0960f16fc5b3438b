// Thirty sockets that send events of the maximum size, one after the other: lists of ids, unknown fields, escapes.
const counts = { sent: 0, limited: 0, refused: 0 }
export const tally = () => counts

const LISTS = JSON.stringify({ userIds: Array.from({ length: 100_000 }, (_, n) => n) })
const FIELDS = `{${Array.from({ length: 70_000 }, (_, n) => `"${n}":0`).join(",")}}`
const ESCAPES = `{"conversationId":"${"\\u0041".repeat(150_000)}"}`
const EVENTS = [
  ["watch_presence", LISTS],
  ["send_private_message", FIELDS],
  ["mark_read", ESCAPES],
]

export async function attack({ loop, open, token }) {
  const peers = new Map()
  await loop(30, async (n) => {
    let peer = peers.get(n)
    if (!peer?.isOpen) {
      peer = await open({ token: token(`large${n % 12}`) })
      peers.set(n, peer)
    }
    const [name, json] = EVENTS[n % EVENTS.length]
    counts.sent++
    const said = await peer.askRaw(name, json)
    if (said?.code === "rate_limited") counts.limited++
    else counts.refused++
  })
  return counts
}

export function check({ attack }, assert) {
  assert.ok(attack.limited > 0 && attack.refused > 0, JSON.stringify(attack))
}
