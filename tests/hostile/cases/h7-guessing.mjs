// Guesses the password of an account from one address while its owner signs in from another.
const counts = { wrong: 0, limited: 0 }
export const tally = () => counts
export const settings = { AUTH: "local" }
const owner = { username: "victim", password: "a password of the victim's" }

export async function prepare({ server, ask }) {
  const made = await ask(server.url, "/api/auth/register", { method: "POST", body: owner })
  if (made.status !== 201) throw new Error(JSON.stringify(made.body))
}

export async function watch({ server, ask, wait }) {
  let isOver = false
  const counted = { right: 0, tries: 0 }
  const running = (async () => {
    // The limit for one account from one network.
    while (!isOver && counted.tries < 8) {
      counted.tries++
      const { status } = await ask(server.url, "/api/auth/login", { method: "POST", body: owner })
      if (status === 200) counted.right++
      await wait(300)
    }
  })()
  return {
    async end() {
      isOver = true
      await running
      return counted
    },
  }
}

export async function attack({ loop, get }) {
  await loop(8, async (n) => {
    const body = { username: owner.username, password: `a guess of ${n}` }
    const { status } = await get("/api/auth/login", { method: "POST", body })
    if (status === 401) counts.wrong++
    if (status === 429) counts.limited++
  })
  return counts
}

export function check({ attack, seen }, assert) {
  assert.ok(attack.limited > 0 && attack.wrong <= 30, JSON.stringify(attack))
  assert.equal(seen.right, seen.tries, JSON.stringify(seen))
}
