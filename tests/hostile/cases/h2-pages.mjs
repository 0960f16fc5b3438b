// A hundred connections that read a page of two hundred messages, repeatedly.
const counts = { pages: 0, limited: 0, bytes: 0 }
export const tally = () => counts

export async function prepare({ server, ask, token }) {
  const reader = token("reader")
  const opened = await ask(server.url, "/api/privatechat/conversations", {
    as: reader,
    method: "POST",
    body: { userId: "other" },
  })
  const id = opened.body.conversation.id
  const writers = ["reader", "other"].map((name) => token(name))
  for (let n = 0; n < 30; n++) {
    const body = { conversationId: id, content: `${n} ${"x".repeat(500)}` }
    await ask(server.url, "/api/privatechat/message", { as: writers[n % 2], method: "POST", body })
  }
  return { id }
}

export async function attack({ loop, get, token, given }) {
  const readers = ["reader", "other"].map((name) => token(name))
  await loop(100, async (n) => {
    const path = `/api/privatechat/messages/${given.id}?limit=200`
    const { status, bytes } = await get(path, { as: readers[n % 2] })
    if (status === 200) counts.pages++
    if (status === 429) counts.limited++
    counts.bytes += bytes
  })
  return counts
}

export function check({ attack }, assert) {
  assert.ok(attack.pages > 0 && attack.limited > 0, JSON.stringify(attack))
}
