// Invalid tokens, one after the other over a few connections, and pages of origins that are not allowed.
const counts = { refused: 0, limited: 0, foreign: 0 }
export const tally = () => counts

export async function attack({ loop, get, token }) {
  let made = 0
  await loop(20, async (n) => {
    if (n % 2) {
      const origin = `https://${made++}.example`
      const { status } = await get("/api/privatechat/conversations", { headers: { origin } })
      if (status === 403) counts.foreign++
      if (status === 429) counts.limited++
      return
    }
    const bad = token(`nobody${made++}`, {}, { secret: "another secret than the server's" })
    const { status } = await get("/api/privatechat/conversations", { as: bad })
    if (status === 401) counts.refused++
    if (status === 429) counts.limited++
  })
  return counts
}

export function check({ attack, log }, assert) {
  assert.ok(attack.refused + attack.foreign > 20, JSON.stringify(attack))
  assert.ok(log < 20_000, `${log} bytes of log`)
}
