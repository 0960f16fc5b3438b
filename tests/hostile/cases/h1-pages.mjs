// Sixty connections that fetch the largest file there is, compressed.
const counts = { answers: 0, bytes: 0, statuses: {} }
export const tally = () => counts

export async function attack({ loop, get }) {
  await loop(60, async () => {
    const { status, bytes } = await get("/docs/swagger-ui-bundle.js", {
      headers: { "accept-encoding": "gzip" },
    })
    counts.answers++
    counts.bytes += bytes
    counts.statuses[status] = (counts.statuses[status] ?? 0) + 1
  })
  return counts
}

export function check({ attack }, assert) {
  assert.ok(attack.answers > 50)
  assert.ok(attack.bytes / attack.answers < 600_000, "it is compressed")
}
