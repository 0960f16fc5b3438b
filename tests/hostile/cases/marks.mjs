// Twelve users of a group of twenty who move their read marks entry by entry, as fast as they may: two hundred sockets get every receipt.
import { Peer } from "../peer.mjs"

const counts = { moved: 0, limited: 0, receipts: 0 }
export const tally = () => counts

const USERS = 20
const WRITERS = 8
const ENTRIES = 800
const name = (n) => `reader${n}`

export async function prepare({ server, ask, token, wait }) {
  const memberIds = Array.from({ length: USERS - 1 }, (_, n) => name(n + 1))
  const body = { memberIds, name: "Readers" }
  const as = token(name(0))
  const opened = await ask(server.url, "/api/privatechat/conversations", { as, method: "POST", body })
  const { id } = opened.body.conversation
  // All of them write, as fast as they may.
  const peers = await Promise.all(
    Array.from({ length: WRITERS }, (_, n) =>
      Peer.open(server.url, { token: token(name(n)), address: "127.0.67.1" }),
    ),
  )
  let seq = 0
  await Promise.all(
    peers.map(async (peer) => {
      while (seq < ENTRIES) {
        const sent = await peer.ask("send_private_message", { conversationId: id, content: "x" })
        if (sent.success) seq = Math.max(seq, sent.message.seq)
        else await wait(100)
      }
      peer.close()
    }),
  )
  return { id }
}

export async function attack({ loop, open, token, given, count }) {
  const peers = await Promise.all(
    Array.from({ length: count }, (_, n) => open({ token: token(name(n % USERS)) })),
  )
  await Promise.all(
    peers.map((peer, n) => peer.ask("join_user", { userId: name(n % USERS), roster: "none" })),
  )
  for (const peer of peers)
    peer.socket.on("message", (data) => {
      if (data.length < 300 && String(data).includes('"receipt"')) counts.receipts++
    })
  const marks = Array(USERS).fill(0)
  const readers = USERS - WRITERS
  await loop(readers * 5, async (n) => {
    const user = WRITERS + (n % readers)
    const seq = marks[user]++
    const said = await peers[user].ask("mark_read", { conversationId: given.id, seq })
    if (said?.success) counts.moved++
    else counts.limited++
  })
  return counts
}

export function check({ attack }, assert) {
  assert.ok(attack.moved > 0 && attack.receipts > attack.moved, JSON.stringify(attack))
}
