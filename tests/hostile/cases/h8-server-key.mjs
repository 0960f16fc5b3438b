// Wrong server keys, and then the right one: an attacker does not learn which guess was right.
const counts = { wrong: 0, limited: 0, right: 0 }
export const tally = () => counts

export async function attack({ loop, get, isOver }) {
  const put = (key) =>
    get("/api/users/somebody", {
      method: "PUT",
      body: { name: "Somebody" },
      headers: { authorization: `Bearer ${key}` },
    })
  let guesses = 0
  await loop(10, async () => {
    const { status } = await put(`a guess of some length that is none, ${guesses++}`)
    if (status === 401) counts.wrong++
    if (status === 429) counts.limited++
    if (guesses === 300 || (isOver() && !counts.tried)) {
      counts.tried = true
      const { status } = await put("the-key-of-the-host-application-in-tests")
      if (status === 200) counts.right++
    }
  })
  return counts
}

export function check({ attack }, assert) {
  assert.ok(attack.limited > 0 && attack.wrong <= 31, JSON.stringify(attack))
  assert.equal(attack.right, 0, JSON.stringify(attack))
}
