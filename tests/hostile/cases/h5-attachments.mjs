// Binary packets whose last attachment never comes, before and after the CONNECT.
const counts = { sent: 0, open: 0 }
export const tally = () => counts

export async function attack({ open, token, count, wait, isOver }) {
  const piece = Buffer.alloc(900_000, 1)
  const peers = []
  for (let n = 0; n < count && !isOver(); n++) {
    const peer = await open(n % 2 ? { token: token(`binary${n % 12}`) } : { connect: false }).catch(
      () => null,
    )
    if (!peer) continue
    peers.push(peer)
    peer.socket.send(
      `45${10}-["send_private_message",{"content":${JSON.stringify({ _placeholder: true, num: 0 })}}]`,
    )
    for (let k = 0; k < 9; k++) peer.socket.send(piece, () => counts.sent++)
    await wait(5)
  }
  while (!isOver()) await wait(50)
  // The last ones may not have noticed that they were disconnected.
  const left = () => peers.filter((peer) => peer.isOpen).length
  for (let tries = 0; tries < 200 && left() > 0; tries++) await wait(50)
  counts.open = left()
  return counts
}

export function check({ attack }, assert) {
  assert.equal(attack.open, 0, JSON.stringify(attack))
}
