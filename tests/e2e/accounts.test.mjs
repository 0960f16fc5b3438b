// Local accounts beyond signing in: passwords, sessions, names, registration, and limits.
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { after, describe, test } from "node:test"
import { token } from "./support/jwt.mjs"
import { crowd, get, post, put, register, request, somebody } from "./support/person.mjs"
import {
  BINARY,
  isCluster,
  JWT,
  LOCAL,
  lockStore,
  NODES,
  nodeOf,
  OPEN,
  refuses,
  SERVER_KEY,
  serve,
} from "./support/server.mjs"
import { until } from "./support/wait.mjs"

const local = await serve({ after }, { ...LOCAL, SERVER_KEY })
const SESSION = "/api/auth/session"
const PASSWORD = "a lamp in the window"

const login = (server, { username }, password = PASSWORD, options) =>
  post(server, "/api/auth/login", { username, password }, options)
const change = (server, account, current, next, options) =>
  post(server, "/api/auth/password", { current, next }, { token: account.token, ...options })
const update = (server, account, body) =>
  request(server, "PATCH", "/api/account", { body, token: account.token })
const gone = (client) => client.sees("(disconnect)", (reason) => reason === "io server disconnect")

describe("the account of the caller", { concurrency: 4 }, () => {
  test("changing the password ends every other session, and a wrong current password is forbidden", async (t) => {
    const { enter } = crowd(t, local)
    const asha = await register(local)
    const phone = { ...asha, token: (await login(local, asha)).body.token }
    const [here, there] = [await enter(asha), await enter(phone)]
    const wrong = await change(local, asha, "not this one", "another lamp")
    assert.equal(wrong.status, 403)
    assert.equal(wrong.body.code, "forbidden")
    assert.equal((await change(local, asha, PASSWORD, "short")).body.code, "invalid")
    assert.equal(
      (await post(local, "/api/auth/password", { current: PASSWORD }, { token: asha.token })).status,
      400,
    )
    assert.equal(
      (await post(local, "/api/auth/password", { current: PASSWORD, next: "another lamp" })).status,
      401,
    )
    assert.equal((await get(local, SESSION, { token: phone.token })).status, 200)
    assert.deepEqual((await change(local, asha, PASSWORD, "another lamp")).body, { success: true })
    await gone(there)
    assert.equal((await get(local, SESSION, { token: phone.token })).status, 401)
    assert.equal((await get(local, SESSION, { token: asha.token })).status, 200)
    await here.must("user_activity")
    assert.equal((await login(local, asha)).status, 401)
    assert.equal((await login(local, asha, "another lamp")).status, 200)
  })

  test("signing out everywhere ends every session, clears the cookie, and needs no body", async (t) => {
    const { enter } = crowd(t, local)
    const [asha, ben] = [await register(local), await register(local, "Ben")]
    const phone = { ...asha, token: (await login(local, asha)).body.token }
    const sockets = [await enter(asha), await enter(phone)]
    const other = await enter(ben)
    const headers = { authorization: `Bearer ${asha.token}` }
    const out = await fetch(`${local.url}/api/auth/logout-all`, { method: "POST", headers })
    assert.equal(out.status, 200)
    assert.match(out.headers.get("set-cookie"), /lamplight_session=;.*Max-Age=0/)
    for (const socket of sockets) await gone(socket)
    for (const one of [asha, phone])
      assert.equal((await get(local, SESSION, { token: one.token })).status, 401)
    await other.must("user_activity")
    assert.equal((await fetch(`${local.url}/api/auth/logout-all`, { method: "POST" })).status, 401)
  })

  test("F35 user names distinguish people of one name, and signed-in users see them", async (t) => {
    const [asha, ben] = [await register(local), await register(local, "Ben")]
    await update(local, ben, { name: "Twin" })
    const found = await get(local, `/api/users/${ben.user.id}`, { token: asha.token })
    assert.deepEqual(found.body, {
      success: true,
      user: { id: ben.user.id, name: "Twin", avatarUrl: null },
      username: ben.username,
    })
    assert.equal((await get(local, `/api/users/${ben.user.id}`)).status, 401)
    const nobody = await get(local, "/api/users/no%20such%20user", { token: asha.token })
    assert.equal(nobody.status, 404)
    assert.equal(nobody.body.code, "not_found")
    assert.equal((await get(local, "/api/users/%07", { token: asha.token })).body.code, "invalid")
    // Without accounts, the id distinguishes users.
    const jwt = await serve(t, JWT)
    const id = somebody("ü 1")
    const own = { token: token(id, { name: "Twin" }) }
    assert.equal((await get(jwt, "/api/users", own)).status, 200)
    const other = await get(jwt, `/api/users/${encodeURIComponent(id)}`, own)
    assert.deepEqual(other.body, { success: true, user: { id, name: "Twin", avatarUrl: null } })
  })

  test("users change their own name and picture, and others see it", async (t) => {
    const { enter } = crowd(t, local)
    const [asha, ben] = [await register(local), await register(local, "Ben")]
    const watcher = await enter(ben, { roster: "diff" })
    await enter(asha)
    await watcher.seesOnline(asha.user.id)
    const renamed = await update(local, asha, { name: "  Asha B. " })
    assert.deepEqual(renamed.body, { success: true, user: { ...asha.user, name: "Asha B." } })
    await watcher.knows(asha.user.id, (one) => one.user?.name === "Asha B.")
    const picture = "https://example.org/a.png"
    assert.equal((await update(local, asha, { avatarUrl: picture })).body.user.avatarUrl, picture)
    assert.deepEqual((await get(local, SESSION, { token: asha.token })).body.user, {
      id: asha.user.id,
      name: "Asha B.",
      avatarUrl: picture,
    })
    assert.equal((await update(local, asha, { avatarUrl: null })).body.user.avatarUrl, null)
    for (const bad of [
      {},
      { name: " " },
      { name: 5 },
      { avatarUrl: "javascript:alert(1)" },
      { name: "x".repeat(201) },
    ])
      assert.equal((await update(local, asha, bad)).status, 400, JSON.stringify(bad))
    assert.equal((await request(local, "PATCH", "/api/account", { body: { name: "x" } })).status, 401)
    const preflight = await request(local, "OPTIONS", "/api/account", {
      headers: { origin: local.url, "access-control-request-method": "PATCH" },
    })
    assert.match(preflight.headers.get("access-control-allow-methods"), /PATCH/)
    let n = 0
    const refused = async () =>
      (await update(local, asha, { name: `Asha ${n++}` })).body.code === "rate_limited"
    // Nodes exchange the number of admitted requests twice a second.
    await until(refused, "a change is sent to everyone, so the rate is limited")
  })

  test("the account routes answer 404 with AUTH=open and AUTH=jwt", async (t) => {
    for (const settings of [OPEN, JWT]) {
      const server = await serve(t, settings)
      for (const [method, path] of [
        ["POST", "/api/auth/password"],
        ["POST", "/api/auth/logout-all"],
        ["PATCH", "/api/account"],
      ]) {
        const answer = await request(server, method, path, { body: {} })
        assert.equal(answer.status, 404, path)
        assert.equal(answer.body.code, "not_found")
      }
    }
  })

  test("H11 signing out takes effect at once while the store accepts no writes", async (t) => {
    const server = await serve(t, LOCAL)
    const { connect, enter } = crowd(t, server)
    const asha = await register(server)
    const phone = { ...asha, token: (await login(server, asha)).body.token }
    const [here, there] = [await enter(asha), await enter(phone)]
    // Another process, such as a backup, that keeps a lock on the database.
    const holder = await lockStore(server, "sessions")
    t.after(() => holder.kill())
    const out = await post(server, "/api/auth/logout", {}, { token: asha.token })
    assert.equal(out.status, 503)
    assert.equal(out.body.code, "unavailable")
    assert.match(out.body.error, /You are signed out/)
    assert.match(out.headers.get("set-cookie"), /Max-Age=0/)
    await gone(here)
    assert.equal((await get(server, SESSION, { token: asha.token })).status, 401)
    const refused = await connect({ auth: { token: asha.token } }).catch((error) => error)
    assert.equal(refused.data?.code, "unauthenticated")
    await there.must("user_activity")
    assert.equal((await get(server, SESSION, { token: phone.token })).status, 200)
    // Once the store takes writes it is written, and holds over a start.
    holder.stdin.end()
    await until(async () => {
      const { text } = await get(nodeOf(server), "/metrics")
      return /lamplight_held\{table="ended"\} 0/.test(text)
    })
    await server.kill()
    await server.start()
    assert.equal((await get(server, SESSION, { token: asha.token })).status, 401)
    assert.equal((await get(server, SESSION, { token: phone.token })).status, 200)
  })

  test("H12 past MAX_SESSIONS the oldest session ends with its sockets", async (t) => {
    const strict = await serve(t, { ...LOCAL, MAX_SESSIONS: "3" })
    const { enter } = crowd(t, strict)
    const asha = await register(strict)
    const oldest = await enter(asha)
    const tokens = []
    for (let n = 0; n < 3; n++) tokens.push((await login(strict, asha)).body.token)
    await gone(oldest)
    assert.equal((await get(strict, SESSION, { token: asha.token })).status, 401)
    for (const held of tokens) assert.equal((await get(strict, SESSION, { token: held })).status, 200)
  })
})

describe("who may create an account", { concurrency: 2 }, () => {
  const run = (server, args, input, env = {}) =>
    new Promise((resolve) => {
      const child = spawn(BINARY, ["account", "add", ...args], {
        env: { PATH: process.env.PATH, HOME: server.home, LISTEN: `127.0.0.1:${server.port}`, ...env },
        cwd: server.home,
      })
      let text = ""
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (text += data))
      child.on("close", (code) => resolve({ code, text }))
      child.stdin.end(input)
    })

  test("REGISTRATION=closed: only the operator's command creates accounts", async (t) => {
    const closed = await serve(t, { ...LOCAL, REGISTRATION: "closed", SERVER_KEY })
    const body = { username: "asha", password: PASSWORD }
    const refused = await post(closed, "/api/auth/register", body)
    assert.equal(refused.status, 403)
    assert.equal(refused.body.code, "forbidden")
    assert.match(refused.body.error, /Ask its operator/)
    assert.equal((await get(closed, SESSION)).body.registration, "closed")
    assert.equal((await get(closed, SESSION)).status, 401)
    assert.equal((await post(closed, "/api/auth/register", body, { token: `${SERVER_KEY}x` })).status, 403)

    const made = await run(closed, ["asha", "--name", "Asha B."], `${PASSWORD}\n`, { SERVER_KEY })
    assert.equal(made.code, 0, made.text)
    const signedIn = await login(closed, { username: "asha" })
    assert.equal(signedIn.body.user?.name, "Asha B.", signedIn.text)
    assert.ok(made.text.includes(signedIn.body.user.id))
    const session = await get(closed, SESSION, { token: signedIn.body.token })
    assert.equal(session.body.registration, "closed")

    for (const [args, input, env, says] of [
      [["asha"], `${PASSWORD}\n`, { SERVER_KEY }, /taken/],
      [["ben"], "short\n", { SERVER_KEY }, /at least 8/],
      [["ben"], "", { SERVER_KEY }, /standard input/],
      [["ben"], `${PASSWORD}\n`, {}, /SERVER_KEY is not set/],
      [["ben"], `${PASSWORD}\n`, { SERVER_KEY: `${SERVER_KEY}x` }, /refused SERVER_KEY/],
      [["ben", "--url", "http://127.0.0.1:1"], `${PASSWORD}\n`, { SERVER_KEY }, /is unreachable/],
    ]) {
      const answer = await run(closed, args, input, env)
      assert.equal(answer.code, 1, answer.text)
      assert.match(answer.text, says)
      assert.ok(!answer.text.includes(SERVER_KEY), "no secret is shown")
    }
  })

  test("REGISTRATION=open is reported, and a stale token does not prevent registration", async () => {
    assert.equal((await get(local, SESSION)).body.registration, "open")
    const body = { username: somebody("x").slice(0, 32), password: PASSWORD }
    const made = await post(local, "/api/auth/register", body, { token: "stale" })
    assert.equal(made.status, 201)
    assert.ok(made.body.token)
  })
})

// The storm of sign-ins takes both cores, so that the nodes and PostgreSQL of another test would be late.
describe("limits", { concurrency: NODES > 1 ? 1 : 4 }, () => {
  test("H7 an attacker's guesses do not lock the owner out", async (t) => {
    const strict = await serve(t, { ...LOCAL, LIMIT_LOGINS: "10", TRUSTED_PROXIES: "127.0.0.1" })
    const from = (address) => ({ headers: { "x-forwarded-for": address } })
    const home = from("198.51.100.7")
    const asha = { username: "asha" }
    const body = { ...asha, password: PASSWORD }
    assert.equal((await post(strict, "/api/auth/register", body, home)).status, 201)
    const began = performance.now()
    // More guesses than the shared allowance of unknown networks, from as many networks as that takes. Several nodes may each
    // look at that many before they know of each other's, so a second wave follows where nothing was refused.
    const storm = []
    const wave = () => {
      const guesses = Array.from({ length: 240 }, (_, n) =>
        login(strict, asha, "a wrong guess", from(`203.0.${n % 40}.9`)),
      )
      storm.push(...guesses)
      const refusals = guesses.map(async (answer) =>
        assert.ok((await answer).body.error.includes("to sign in to this account")),
      )
      return Promise.any(refusals)
    }
    // Once one was refused, the shared allowance is used up; a little of it grows back meanwhile.
    await wave().catch(wave)
    let network = 0
    const newcomers = async () => {
      const from60 = Array.from({ length: 60 }, () =>
        login(strict, asha, PASSWORD, from(`192.0.${network++}.1`)),
      )
      return (await Promise.all(from60)).map((answer) => answer.status)
    }
    const strangers = newcomers()
    /** A node that is busy with the guesses refuses for a moment. */
    const enter = (options) =>
      until(async () => {
        const answer = await login(strict, asha, PASSWORD, options)
        return answer.status === 503 ? null : answer
      })
    const owner = await enter(home)
    assert.equal(owner.status, 200, "from a network that signed in before")
    const neighbour = await enter(from("198.51.100.200"))
    assert.equal(neighbour.status, 200, "a /24 is one network")
    // A node that does not know of the others' guesses yet admits some, and a busy one checks none.
    const statuses = await strangers
    while (!statuses.includes(429) && network < 240) statuses.push(...(await newcomers()))
    assert.ok(statuses.includes(429), `a new one waits with the rest: ${statuses}`)
    const guessed = (await Promise.all(storm)).filter((answer) => answer.status === 401)
    const minutes = (performance.now() - began) / 60_000
    assert.ok(guessed.length <= (130 + 100 * minutes) * NODES, `${guessed.length} guesses were looked at`)
  })

  test("H8 a short server key makes startup fail and explains how to generate one", async (t) => {
    for (const key of ["a", "x".repeat(31)]) {
      const answer = await refuses(t, { AUTH: "local", SERVER_KEY: key })
      assert.notEqual(answer.code, 0)
      assert.match(answer.stderr, /SERVER_KEY.*at least 32.*openssl rand -base64 48/s)
    }
  })

  test("H8 the server key exempts from the request limit until too many wrong keys were sent", async (t) => {
    const server = nodeOf(await serve(t, { ...LOCAL, LIMIT_READS: "1", LIMIT_LOGINS: "2", SERVER_KEY }))
    /** Far more requests than the limit admits, on a route that needs no key. */
    const flood = async (token) => {
      const all = Array.from({ length: 150 }, (_, n) => get(server, "/openapi.json", { token: token(n) }))
      return (await Promise.all(all)).filter((answer) => answer.status === 429).length
    }
    assert.equal(await flood(() => SERVER_KEY), 0, "no request of the host application is refused")
    assert.ok((await flood((n) => `${SERVER_KEY}${n}`)) > 0, "those of others are")
    assert.ok((await flood(() => SERVER_KEY)) > 0, "after so many guesses no answer shows which is right")
    assert.equal((await put(server, "/api/users/5", { name: "x" }, { token: SERVER_KEY })).status, 200)
  })

  test("H8 after too many wrong keys the right one is refused too", async (t) => {
    for (const settings of [OPEN, JWT, LOCAL]) {
      for (const attempt of [
        (server, key) => put(server, "/api/users/5", { name: "x" }, { token: key }),
        (server, key) => get(server, "/api/online-users", { token: key }),
        (server, key) => get(server, "/metrics", { token: key, headers: { via: "1.1 x" } }),
      ]) {
        const server = await serve(t, { ...settings, LIMIT_LOGINS: "10", SERVER_KEY })
        const right = () => put(server, "/api/users/5", { name: "x" }, { token: SERVER_KEY })
        assert.equal((await right()).status, 200)
        const wrong = Array.from({ length: 60 }, (_, n) => attempt(server, `${SERVER_KEY}${n}`))
        await Promise.all(wrong)
        // Each node learns within half a second what the others admitted.
        const last = async (ask) => {
          let answer
          const isRefused = async () => {
            answer = await ask()
            return answer.status === 429 || !isCluster
          }
          await until(isRefused, `${settings.AUTH}: the right key is refused`)
          return answer
        }
        const refused = await last(right)
        assert.equal(refused.status, 429, `${settings.AUTH}: ${refused.text}`)
        assert.ok(refused.body.retryAfterMs > 0)
        const scrape = () => get(server, "/metrics", { token: SERVER_KEY, headers: { via: "1.1 x" } })
        assert.equal((await last(scrape)).status, 429)
        assert.equal((await get(nodeOf(server), "/metrics")).status, 200, "this machine needs no key")
        if (settings === JWT)
          assert.equal(
            (await get(server, "/api/users", { token: token("u") })).status,
            200,
            "a user's token passes",
          )
      }
    }
  })

  test("H9 two tokens of one second do not flip a profile", async (t) => {
    const server = await serve(t, JWT)
    const { connect } = crowd(t, server)
    const me = somebody("a")
    const iat = Math.floor(Date.now() / 1_000)
    const [one, two] = ["Asha", "Ben"].map((name) => token(me, { name, iat }))
    const client = await connect({ auth: { token: one } })
    await client.must("join_user", { userId: me, roster: "diff" })
    await client.seesOnline(me)
    const since = client.mark()
    for (let n = 0; n < 40; n++) await get(server, "/api/users", { token: n % 2 ? one : two })
    assert.equal(client.roster.get(me).user.name, "Asha")
    await get(server, "/api/users", { token: token(me, { name: "Cleo", iat: iat + 1 }) })
    await client.knows(me, (person) => person.user?.name === "Cleo")
    const seenNames = client
      .all("presence_changes", since)
      .flatMap((data) => data.changes.map((change) => change.user?.name))
    assert.deepEqual([...new Set(seenNames)], ["Cleo"])
  })

  test("H12 creating conversations is rate-limited, and finding existing ones is not", async (t) => {
    const server = await serve(t, { ...OPEN, LIMIT_CONVERSATIONS: "20" })
    const me = somebody("a")
    const open = (n) =>
      post(server, "/api/privatechat/conversations", { userId: `stranger-${n}` }, { as: me })
    const began = performance.now()
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => open(n)))
    const minutes = (performance.now() - began) / 60_000
    // Which of them is theirs to say: requests over several connections come in any order.
    const made = answers.flatMap((answer, n) => (answer.status === 201 ? [n] : []))
    assert.ok(made.length >= 20 && made.length <= (25 + 20 * minutes) * NODES, String(made))
    const refused = answers.find((answer) => answer.status === 429)
    assert.equal(refused.body.code, "rate_limited")
    assert.ok(refused.body.retryAfterMs > 0)
    for (const n of made) assert.equal((await open(n)).status, 200)
  })

  test("H12 a storm of sign-ins is answered without delaying the owner's", async (t) => {
    const server = await serve(t, { ...LOCAL, TRUSTED_PROXIES: "127.0.0.1" })
    const from = (address) => ({ headers: { "x-forwarded-for": address } })
    const home = from("198.51.100.7")
    const body = { username: "asha", password: PASSWORD }
    assert.equal((await post(server, "/api/auth/register", body, home)).status, 201)
    const storm = Array.from({ length: 300 }, (_, n) =>
      login(server, { username: `user-${n}` }, "a wrong guess", from(`203.0.${n % 6}.9`)),
    )
    const began = performance.now()
    const owner = await login(server, { username: "asha" }, PASSWORD, home)
    t.diagnostic(`the owner was in after ${(performance.now() - began).toFixed(0)} ms`)
    assert.equal(owner.status, 200)
    const answers = await Promise.all(storm)
    const codes = new Set(answers.map((answer) => answer.body.code))
    assert.ok(codes.has("rate_limited"), [...codes].join())
    for (const answer of answers.filter((answer) => answer.status !== 401)) {
      assert.ok(answer.body.retryable && answer.body.retryAfterMs > 0, answer.text)
    }
  })
})
