// HTTP: refusals and their statuses, online users, limits, routes for operators.
import assert from "node:assert/strict"
import http from "node:http"
import { after, describe, test } from "node:test"
import { conversationOf, crowd, get, post, put, request, somebody } from "./support/person.mjs"
import { NODES, nodeOf, OPEN, refuses, SERVER_KEY, serve } from "./support/server.mjs"
import { until } from "./support/wait.mjs"

const server = await serve({ after }, { ...OPEN, SERVER_KEY })
const CHATS = "/api/privatechat/conversations"
const SEND = "/api/privatechat/message"

/** @param {any} answer */
function refused(answer, status, code) {
  assert.equal(answer.status, status, answer.text)
  assert.match(answer.headers.get("content-type"), /^application\/json/)
  const { success, error, retryable, ...rest } = answer.body
  assert.equal(answer.body.code, code)
  assert.equal(success, false)
  assert.equal(typeof error, "string")
  assert.equal(typeof retryable, "boolean")
  assert.deepEqual(
    Object.keys(rest).filter((key) => !["code", "retryAfterMs"].includes(key)),
    [],
  )
}

describe("refusals", { concurrency: 8 }, () => {
  test("each code has its status", async () => {
    const [a, b] = [somebody("a"), somebody("b")]
    const id = await conversationOf(server, a, b)
    const body = { conversationId: id, content: "x", clientMessageId: somebody("id") }
    refused(await post(server, SEND, body), 401, "unauthenticated")
    refused(await put(server, "/api/users/x", { name: "x" }, { as: a }), 403, "forbidden")
    refused(await post(server, SEND, body, { as: somebody("c") }), 404, "not_found")
    refused(await post(server, SEND, { ...body, content: 5 }, { as: a }), 400, "invalid")
    refused(await post(server, SEND, { ...body, content: " " }, { as: a }), 400, "empty_message")
    refused(await post(server, SEND, { ...body, content: "x".repeat(8_001) }, { as: a }), 413, "too_long")
    await post(server, SEND, body, { as: a })
    refused(await post(server, SEND, { ...body, content: "y" }, { as: a }), 409, "conflict")
    refused(await get(server, "/api/nothing"), 404, "not_found")
    refused(await get(server, "/nothing"), 404, "not_found")
    assert.equal((await request(server, "DELETE", CHATS, { as: a })).status, 405)
  })

  test("other users' resources and missing ones get the same answer, over both transports", async (t) => {
    const { join } = crowd(t, server)
    const foreign = await conversationOf(server, somebody("a"), somebody("b"))
    const c = somebody("c")
    const carl = await join(c)
    const asked = {
      join_conversation: (id) => id,
      send_private_message: (conversationId) => ({ conversationId, content: "x" }),
      typing: (conversationId) => ({ conversationId, isTyping: true }),
      mark_read: (conversationId) => ({ conversationId, seq: 1 }),
      set_activity: (conversationId) => ({ activity: { kind: "in_call", conversationId } }),
    }
    for (const [name, payload] of Object.entries(asked)) {
      const answers = [await carl.ask(name, payload(foreign)), await carl.ask(name, payload("no such"))]
      assert.deepEqual(answers[0], answers[1], name)
      assert.equal(answers[0].code, "not_found", name)
    }
    for (const [method, path, body] of [
      ["GET", (id) => `/api/privatechat/messages/${id}`],
      ["POST", (id) => `${CHATS}/${id}/read`, () => ({ seq: 1 })],
      ["POST", () => SEND, (conversationId) => ({ conversationId, content: "x" })],
    ]) {
      const answers = []
      for (const id of [foreign, "no-such"]) {
        answers.push(await request(server, method, path(id), { as: c, body: body?.(id) }))
      }
      refused(answers[0], 404, "not_found")
      assert.equal(answers[0].text, answers[1].text)
    }
  })

  test("malformed bodies and ids, path tricks and SQL are refused", async () => {
    const a = somebody("a")
    const id = await conversationOf(server, a, somebody("b"))
    for (const raw of [
      "",
      "{",
      "null",
      "[]",
      '"x"',
      "5",
      "{}",
      '{"conversationId":',
      "\u0000",
      "[".repeat(100_000),
    ]) {
      const answer = await request(server, "POST", SEND, {
        as: a,
        raw,
        headers: { "content-type": "application/json" },
      })
      refused(answer, 400, "invalid")
      assert.ok(answer.text.length < 2_000)
    }
    const latin = await request(server, "POST", SEND, {
      as: a,
      raw: Buffer.from(`{"conversationId":"${id}","content":"\xe9\xff"}`, "latin1"),
      headers: { "content-type": "application/json" },
    })
    refused(latin, 400, "invalid")
    for (const bad of [
      "..%2f..%2fetc%2fpasswd",
      "%00",
      "%0a",
      "%ff%fe",
      "'%20OR%20'1'='1",
      "x".repeat(129),
      "%F0%9F%98%80".repeat(129),
    ]) {
      const answer = await get(nodeOf(server), `/api/privatechat/messages/${bad}`, { as: a })
      assert.ok([400, 404].includes(answer.status), `${bad}: ${answer.status}`)
      assert.ok(answer.body.code)
    }
    for (const path of [
      "/chat/../Cargo.toml",
      "/chat/..%2f..%2fCargo.toml",
      "/chat/%2e%2e/%2e%2e/README.md",
      "/docs/..%2fx",
    ]) {
      const answer = await get(nodeOf(server), path)
      assert.ok([400, 404].includes(answer.status), `${path}: ${answer.status} ${answer.text.slice(0, 80)}`)
    }
    for (const header of ["a\tb", "x".repeat(129), "\xff\xfe"]) {
      const answer = await get(nodeOf(server), CHATS, { as: header })
      refused(answer, 400, "invalid")
    }
  })

  test("a body over the limit gets 413", async (t) => {
    const small = await serve(t, { ...OPEN, MAX_PAYLOAD: "20000" })
    const { join } = crowd(t, small)
    const id = await conversationOf(small, "a", "b")
    refused(
      await post(small, SEND, { conversationId: id, content: "x".repeat(30_000) }, { as: "a" }),
      413,
      "too_long",
    )
    // On the socket it is the connection's end, on both transports.
    for (const transports of [["websocket"], ["polling"]]) {
      const client = await join("a", { options: { transports } })
      client.socket.emit("send_private_message", { conversationId: id, content: "x".repeat(30_000) })
      await client.sees("(disconnect)")
    }
    assert.equal((await get(small, `/api/privatechat/messages/${id}`, { as: "a" })).body.data.length, 0)
  })
})

describe("the list of online users", { concurrency: 4 }, () => {
  test("it omits the caller and has the count and pages", async (t) => {
    const alone = await serve(t, OPEN)
    const { join } = crowd(t, alone)
    for (let n = 1; n <= 5; n++) await join(`u${n}`, { name: `User ${n}` })
    const ask = async (query) => (await get(alone, `/api/online-users${query}`)).body
    const all = await ask("")
    assert.deepEqual(Object.keys(all).sort(), ["count", "data", "store", "success"])
    assert.equal(all.count, 5)
    assert.deepEqual(
      all.data.map((one) => one.userId),
      ["u1", "u2", "u3", "u4", "u5"],
    )
    assert.deepEqual(all.data[0].user, { id: "u1", name: "User 1", avatarUrl: null })
    const others = await ask("?excludeUserId=u2")
    assert.equal(others.count, 4)
    assert.ok(!others.data.some((one) => one.userId === "u2"))
    assert.deepEqual(await ask("?countOnly=true"), { success: true, count: 5 })
    assert.deepEqual(await ask("?countOnly=true&excludeUserId=u1"), { success: true, count: 4 })
    assert.equal((await ask("?excludeUserId=nobody")).count, 5)
    assert.equal((await ask("?excludeUserId=")).count, 5)
    assert.equal((await ask("?countOnly=false")).data.length, 5)
    for (const exclude of [
      "",
      "&excludeUserId=u1",
      "&excludeUserId=u2",
      "&excludeUserId=u4",
      "&excludeUserId=u5",
    ]) {
      const found = []
      let cursor = ""
      for (;;) {
        const page = await ask(`?limit=2${exclude}${cursor}`)
        assert.ok(page.data.length <= 2)
        found.push(...page.data.map((one) => one.userId))
        if (!page.nextCursor) break
        cursor = `&cursor=${encodeURIComponent(page.nextCursor)}`
      }
      const expected = ["u1", "u2", "u3", "u4", "u5"].filter((user) => !exclude.endsWith(user))
      assert.deepEqual(found, expected, exclude)
    }
    for (const query of ["?limit=0", "?limit=x", "?limit=201", "?cursor=!", "?limit=-1"]) {
      refused(await get(alone, `/api/online-users${query}`), 400, "invalid")
    }
    refused(await get(alone, `/api/online-users?excludeUserId=${"x".repeat(129)}`), 400, "invalid")
  })
})

describe("limits by address", { concurrency: 4 }, () => {
  const forwarded = (address) => ({ extraHeaders: { "x-forwarded-for": address } })

  test("loopback is exempt, and only a trusted proxy's forwarded address counts", async (t) => {
    const plain = nodeOf(await serve(t, { ...OPEN, LIMIT_CONNECTIONS: "2", TRUSTED_PROXIES: "" }))
    const { connect } = crowd(t, plain)
    for (let n = 0; n < 4; n++) await connect(forwarded("203.0.113.9"))
    const hints = () => plain.log.split("\n").filter((line) => line.includes("TRUSTED_PROXIES=127.0.0.1"))
    await until(() => hints().length === 1, "the log says once what a proxy needs")

    const settings = { ...OPEN, LIMIT_CONNECTIONS: "2", TRUSTED_PROXIES: "127.0.0.1" }
    const proxied = nodeOf(await serve(t, settings))
    const behind = crowd(t, proxied)
    const first = await behind.connect(forwarded("203.0.113.9"))
    await behind.connect(forwarded("198.51.100.7, 203.0.113.9"))
    const error = await behind.connect(forwarded("203.0.113.9")).then(
      () => assert.fail("a third"),
      (error) => error,
    )
    assert.match(error.description.message, /429/)
    const refusal = await get(proxied, "/api/socketio/?EIO=4&transport=polling", {
      headers: { "x-forwarded-for": "203.0.113.9" },
    })
    refused(refusal, 429, "rate_limited")
    assert.ok(refusal.body.retryAfterMs > 0)
    const lines = () => proxied.log.split("\n").filter((line) => line.includes("LIMIT_CONNECTIONS"))
    await until(() => lines().some((line) => line.includes("203.0.113.9")), "the log says who was refused")
    assert.equal(lines().length, 1, "and says it once")
    assert.ok(!proxied.log.includes("X-Forwarded-For"), "this one is believed")
    await behind.connect(forwarded("203.0.113.10"))
    // An address that the client put before the proxy's own entry does not count.
    await behind.connect(forwarded("203.0.113.9, 203.0.113.11"))
    for (let n = 0; n < 4; n++) await behind.connect()
    first.close()
    await until(() =>
      behind.connect(forwarded("203.0.113.9")).then(
        () => true,
        () => false,
      ),
    )
  })

  test("h2: requests are limited by address, except for the host application", async (t) => {
    const strict = await serve(t, { ...OPEN, LIMIT_READS: "1", SERVER_KEY })
    const putMany = (key, count) =>
      Promise.all(
        Array.from({ length: count * NODES }, (_, n) =>
          put(strict, `/api/privatechat/conversations/${n}`, { memberIds: ["a", "b"] }, { token: key }),
        ),
      )
    const written = await putMany(SERVER_KEY, 40)
    assert.deepEqual([...new Set(written.map(({ status }) => status))], [200])
    const others = await putMany("another key that is not the server's own", 200)
    assert.ok(others.some(({ status }) => status === 429) && others.every(({ status }) => status >= 400))
  })

  test("neither an empty sid nor failed upgrades bypass the limit", async (t) => {
    const settings = { ...OPEN, LIMIT_CONNECTIONS: "2", TRUSTED_PROXIES: "127.0.0.1" }
    const proxied = nodeOf(await serve(t, settings))
    const headers = { "x-forwarded-for": "203.0.113.9" }
    const open = "/api/socketio/?EIO=4&transport=polling"
    const statuses = []
    for (const url of [open, `${open}&sid=`, `${open}&sid=`, `${open}&sid=&sid=x`, open]) {
      statuses.push((await get(proxied, url, { headers })).status)
    }
    assert.deepEqual(statuses, [200, 200, 429, 429, 429])

    const websocket = {
      ...headers,
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    const upgrade = async () => {
      const sid = /"sid":"([^"]+)"/.exec((await get(proxied, open)).text)[1]
      const url = `${proxied.url}/api/socketio/?EIO=4&transport=websocket&sid=${sid}`
      return new Promise((done, fail) => {
        const asked = http.request(url, { headers: websocket })
        asked.on("upgrade", (response, socket) => {
          t.after(() => socket.destroy())
          done({ status: response.statusCode, socket })
        })
        asked.on("response", (response) => done({ status: response.resume().statusCode }))
        asked.on("error", fail)
        asked.end()
      })
    }
    // Neither sends a probe.
    const held = [await upgrade(), await upgrade()]
    assert.deepEqual(
      [...held, await upgrade()].map(({ status }) => status),
      [101, 101, 429],
    )
    for (const { socket } of held) socket.destroy()
    await until(async () => (await upgrade()).status === 101)
  })

  test("joins are limited by socket", async (t) => {
    const strict = await serve(t, { ...OPEN, LIMIT_JOINS: "3" })
    const { connect } = crowd(t, strict)
    const client = await connect()
    const codes = []
    for (let n = 0; n < 5; n++) codes.push((await client.ask("join_user", "a")).code ?? "ok")
    assert.deepEqual(codes, ["ok", "ok", "ok", "rate_limited", "rate_limited"])
    assert.equal((await (await connect()).ask("join_user", "a")).success, true)
  })

  test("typing is limited by user", async (t) => {
    const strict = nodeOf(await serve(t, { ...OPEN, LIMIT_TYPING: "3" }))
    const { join } = crowd(t, strict)
    const id = await conversationOf(strict, "a", "b")
    const tabs = [await join("a"), await join("a")]
    const typing = { conversationId: id, isTyping: true }
    const answers = await Promise.all(Array.from({ length: 60 }, (_, n) => tabs[n % 2].ask("typing", typing)))
    const codes = answers.map((answer) => answer.code ?? "ok")
    assert.ok(codes.filter((code) => code === "rate_limited").length >= 2, String(codes))
  })
})

describe("for operators", { concurrency: 4 }, () => {
  test("liveness and readiness answer, and metrics answer this machine or the server key", async () => {
    const node = nodeOf(server)
    assert.equal((await get(node, "/healthz")).status, 200)
    assert.equal((await get(node, "/readyz")).status, 200)
    const here = await get(node, "/metrics")
    assert.equal(here.status, 200)
    assert.match(here.headers.get("content-type"), /^text\/plain/)
    assert.match(here.text, /^# TYPE /m)
    for (const name of ["x-forwarded-for", "forwarded", "x-real-ip", "via"]) {
      const elsewhere = await get(node, "/metrics", { headers: { [name]: "203.0.113.9" } })
      assert.equal(elsewhere.status, 401, name)
      const keyed = await get(node, "/metrics", { headers: { [name]: "203.0.113.9" }, token: SERVER_KEY })
      assert.equal(keyed.status, 200, name)
      const wrong = await get(node, "/metrics", {
        headers: { [name]: "203.0.113.9" },
        token: `${SERVER_KEY}x`,
      })
      assert.equal(wrong.status, 401)
    }
  })

  test("metrics count connections, users, messages and refusals", async (t) => {
    const alone = nodeOf(await serve(t, OPEN))
    const { join } = crowd(t, alone)
    const id = await conversationOf(alone, "a", "b")
    const asha = await join("a")
    await join("b", { options: { transports: ["polling"] } })
    await asha.send(id, "one")
    await asha.send(id, " ")
    // A delivery is counted once it is written, which may be after the sender has their answer.
    const text = await until(async () => {
      const { text } = await get(alone, "/metrics")
      return text.includes("lamplight_delivery_seconds_count 1") && text
    })
    const value = (name) => Number(new RegExp(`^${name} ([0-9.e+]+)$`, "m").exec(text)?.[1])
    const names = [...new Set([...text.matchAll(/^# TYPE (\S+) (\S+)/gm)].map((found) => found[1]))]
    for (const part of ["connections", "online", "messages", "ack", "deliver", "refus", "queue"]) {
      assert.ok(
        names.some((name) => name.includes(part)),
        `nothing about ${part} in ${names}`,
      )
    }
    assert.equal(value("lamplight_online_users"), 2, text.slice(0, 3_000))
    assert.ok(!/asha|"a"|user="/.test(text), "a user in a label")
  })

  test("the OpenAPI description is complete and consistent", async () => {
    const { status, body, headers } = await get(server, "/openapi.json")
    assert.equal(status, 200)
    assert.match(headers.get("content-type"), /^application\/json/)
    assert.match(body.openapi, /^3\.1\./)
    assert.ok(body.info.title && body.info.version)
    for (const [path, method] of [
      ["/api/online-users", "get"],
      [CHATS, "get"],
      [CHATS, "post"],
      [`${CHATS}/{id}`, "put"],
      [`${CHATS}/{id}/read`, "post"],
      ["/api/privatechat/messages/{conversationId}", "get"],
      [SEND, "post"],
      ["/api/users", "get"],
      ["/api/users/{id}", "put"],
      ["/api/auth/register", "post"],
      ["/api/auth/login", "post"],
      ["/api/auth/logout", "post"],
      ["/api/auth", "get"],
      ["/api/auth/session", "get"],
    ]) {
      const operation = body.paths[path]?.[method]
      assert.ok(operation, `${method} ${path} is not described`)
      assert.ok(operation.operationId)
      const named = [...path.matchAll(/\{(\w+)\}/g)].map((found) => found[1])
      const given = (operation.parameters ?? []).filter((one) => one.in === "path").map((one) => one.name)
      assert.deepEqual(given, named, path)
      for (const [code, response] of Object.entries(operation.responses)) {
        assert.ok(response.description !== undefined, `${path} ${code}`)
      }
    }
    const operations = Object.values(body.paths).flatMap((item) => Object.values(item))
    const names = operations.map((operation) => operation.operationId)
    assert.equal(new Set(names).size, names.length, "operationIds are not unique")
    const look = (part, where) => {
      if (Array.isArray(part)) for (const [index, one] of part.entries()) look(one, `${where}/${index}`)
      else if (part && typeof part === "object") {
        if (typeof part.$ref === "string") {
          const found = part.$ref
            .replace("#/", "")
            .split("/")
            .reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], body)
          assert.ok(found, `${where}: ${part.$ref} is nowhere`)
        }
        for (const [key, one] of Object.entries(part)) look(one, `${where}/${key}`)
      }
    }
    look(body, "#")
    // What is sent and answered is what is described.
    assert.ok(body.info.license.identifier)
    const online = body.components.schemas.OnlineAnswer
    const counted = (await get(server, "/api/online-users?countOnly=true")).body
    for (const key of online.required)
      assert.ok(key in counted, `${key} is required, and not there with countOnly`)
    assert.ok(online.properties.data)
    assert.deepEqual(
      body.paths["/api/online-users"].get.security.map((needs) => Object.keys(needs)),
      [[], ["bearer"], ["cookie"]],
    )
    const takes = (method, path) => body.paths[path][method].parameters.map((one) => `${one.in} ${one.name}`)
    for (const path of [
      "/api/online-users",
      CHATS,
      "/api/users",
      "/api/privatechat/messages/{conversationId}",
    ])
      assert.ok(
        ["header X-User-Id", "query userId"].every((one) => takes("get", path).includes(one)),
        path,
      )
    for (const one of ["header X-User-Id", "header X-Socket-Id"]) assert.ok(takes("post", SEND).includes(one))
    assert.ok(takes("post", `${CHATS}/{id}/read`).includes("header X-User-Id"))
    assert.ok(!takes("put", "/api/users/{id}").includes("header X-User-Id"), "that takes the server key")
    const schemes = Object.keys(body.components.securitySchemes)
    for (const operation of operations) {
      for (const needs of operation.security ?? []) {
        for (const name of Object.keys(needs)) assert.ok(schemes.includes(name), name)
      }
    }
  })

  test("the API page and everything that it loads are served from the binary", async () => {
    const redirect = await get(server, "/docs")
    const page = await get(server, redirect.status === 200 ? "/docs" : redirect.headers.get("location"))
    assert.equal(page.status, 200)
    const links = [...page.text.matchAll(/(?:src|href)="([^"#]+)"/g)].map((found) => found[1])
    assert.ok(links.length > 2)
    for (const link of links) {
      assert.ok(!/^(https?:)?\/\//.test(link), `${link} is loaded from elsewhere`)
      const asset = await get(server, new URL(link, `${server.url}/docs/`).pathname)
      assert.equal(asset.status, 200, link)
    }
    const start = await get(server, "/docs/swagger-initializer.js")
    assert.match(start.text, /\/openapi\.json/)
  })

  test("/ redirects to the chat page, whose assets are cached and whose policy allows no foreign source", async () => {
    const root = await get(server, "/")
    assert.ok([302, 303, 307].includes(root.status))
    assert.equal(root.headers.get("location"), "/chat")
    const page = await get(server, "/chat")
    assert.equal(page.status, 200, "is the page built? npm run build -w apps/chat")
    assert.match(page.headers.get("content-security-policy"), /default-src 'self'/)
    assert.match(page.headers.get("content-security-policy"), /frame-ancestors 'none'/)
    assert.match(page.headers.get("content-security-policy"), /manifest-src 'self'; worker-src 'self'/)
    assert.match(page.headers.get("content-security-policy"), /connect-src 'self';/)
    // A host application's pictures may be on any host.
    assert.match(page.headers.get("content-security-policy"), /img-src 'self' https: data: blob:;/)
    assert.match(page.headers.get("permissions-policy"), /camera=\(\).*microphone=\(self\)/)
    assert.equal(page.headers.get("referrer-policy"), "same-origin")
    assert.equal(page.headers.get("x-content-type-options"), "nosniff")
    const worker = await get(server, "/chat/sw.js")
    assert.equal(worker.headers.get("service-worker-allowed"), "/chat")
    assert.equal(worker.headers.get("cache-control"), "no-cache")
    assert.match(worker.headers.get("content-type"), /^text\/javascript/)
    assert.equal(page.headers.get("service-worker-allowed"), null)
    const links = [...page.text.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map((found) => found[1])
    for (const link of links) {
      const asset = await get(server, link)
      assert.equal(asset.status, 200, link)
      if (link.includes("/assets/")) assert.match(asset.headers.get("cache-control"), /immutable/)
      if (link.endsWith(".webmanifest"))
        assert.equal(asset.headers.get("content-type"), "application/manifest+json")
      const again = await get(server, link, { headers: { "if-none-match": asset.headers.get("etag") } })
      assert.equal(again.status, 304, link)
    }
    assert.ok(!/<script(?![^>]*src=)[^>]*>[^<]/.test(page.text), "an inline script")
  })

  test("the chat page and its manifest follow the browser's language", async () => {
    const motto = { en: "Online presence", de: "Online-Status", ar: "حالة الاتصال" }
    for (const [accepts, language, direction] of [
      ["", "en", ""],
      ["fr-CA, fr;q=0.9", "en", ""],
      ["de-AT,de;q=0.9,en;q=0.8", "de", ' dir="ltr"'],
      ["en-GB, de", "en", ""],
      ["de;q=0.2, AR-eg;q=0.7", "ar", ' dir="rtl"'],
      ["de;q=0, ../index, *", "en", ""],
    ]) {
      const page = await get(server, "/chat", { headers: { "accept-language": accepts } })
      assert.ok(page.text.includes(`<html lang="${language}"${direction}>`), accepts)
      assert.match(page.headers.get("vary"), /accept-language/)
      assert.match(page.headers.get("content-security-policy"), /default-src 'self'/)
      assert.ok(page.text.includes(`content="${motto[language]}`), accepts)
      const noScript = /<noscript>(.+?)<\/noscript>/.exec(page.text)[1]
      assert.equal(noScript.startsWith("Lamplight needs"), language === "en")
      const etag = page.headers.get("etag")
      const again = { "accept-language": accepts, "if-none-match": etag }
      assert.equal((await get(server, "/chat", { headers: again })).status, 304)
      const manifest = JSON.parse((await get(server, /href="([^"]+\.webmanifest)"/.exec(page.text)[1])).text)
      assert.deepEqual([manifest.lang, manifest.id], [language, "/chat"])
      assert.ok(manifest.description.startsWith(motto[language]))
    }
  })

  test("the log names each refused origin and protocol once", async (t) => {
    const own = nodeOf(await serve(t, OPEN))
    const old = await get(own, "/api/socketio/?EIO=3&transport=polling")
    assert.equal(old.status, 400)
    assert.equal(old.body.code, 5, "in that protocol's own words")
    const headers = { origin: "https://evil.example" }
    for (let n = 0; n < 3; n++) {
      await get(own, "/api/socketio/?EIO=3&transport=polling")
      assert.equal((await get(own, "/api/online-users", { headers })).status, 403)
    }
    const lines = (word) => own.log.split("\n").filter((line) => line.includes(word))
    await until(() => lines("LL-110").length === 1 && lines("LL-104").length > 0)
    assert.match(lines("LL-104")[0], /INFO.*https:\/\/evil\.example.*ALLOWED_ORIGINS/)
    assert.equal(lines("LL-104").length, 1)
    const sandboxed = await get(own, "/api/online-users", { headers: { origin: "null" } })
    assert.match(sandboxed.body.error, /sandboxed frame/)
  })

  test("with LOG_FORMAT=json both streams are lines of JSON", async (t) => {
    // Ended when it says that it is ready.
    const { stdout, stderr } = await refuses(t, { ...OPEN, LOG_FORMAT: "json" })
    const [ready, ...more] = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
    assert.match(ready.fields.message, /^Lamplight is ready\. Open http:\/\/127\.0\.0\.1:\d+\/chat$/)
    assert.equal(ready.level, "INFO")
    assert.ok(!Number.isNaN(Date.parse(ready.timestamp)))
    assert.deepEqual(more, [])
    for (const line of stderr.trim().split("\n")) JSON.parse(line)
    const quiet = await refuses(t, { ...OPEN, LOG_FORMAT: "json", LOG: "off" })
    assert.match(quiet.stdout, /is ready/, "whatever is logged")
  })

  test("every answer has a request id, and a valid one from the request is used", async () => {
    const plain = await get(server, "/healthz")
    assert.match(plain.headers.get("x-request-id"), /^[\w-]{8,}$/)
    const given = await get(server, "/healthz", { headers: { "x-request-id": "my-id.1" } })
    assert.equal(given.headers.get("x-request-id"), "my-id.1")
    const odd = await get(server, "/healthz", { headers: { "x-request-id": "x".repeat(500) } })
    assert.ok(odd.headers.get("x-request-id").length <= 64)
  })
})
