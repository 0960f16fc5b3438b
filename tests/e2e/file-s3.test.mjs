// Files in S3: uploads in parts that go on at any node, ranges, deletion, and an S3 that fails.
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, describe, test } from "node:test"
import { conversationOf, crowd, request, somebody } from "./support/person.mjs"
import { multipartsOf, objectsOf, S3_PORT, S3Proxy, s3Settings } from "./support/s3.mjs"
import { BINARY, isCluster, nodeOf, OPEN, refuses, SERVER_KEY, serve } from "./support/server.mjs"
import { sha256, uploads } from "./support/tus.mjs"
import { until } from "./support/wait.mjs"

const MESSAGES = "/api/privatechat/messages"
const PART = 8 << 20

const skip = S3_PORT ? false : "needs a server of S3: run it by run-s3.mjs"
const s3 = new S3Proxy()
let server
if (S3_PORT) {
  await s3.start()
  server = await serve({ after }, { ...OPEN, ...s3Settings(s3.port), SERVER_KEY, FILE_QUOTA: "0" })
  after(() => s3.stop())
}
afterEach(() => {
  s3.fault = () => undefined
  for (const one of s3.hanging) one.destroy()
})

async function pair(on = server) {
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const conversationId = await conversationOf(on, asha, ben)
  return { asha, ben, conversationId, files: uploads(on, asha) }
}

const idOf = (made) => made.headers.location.split("/").at(-1)
const offsetOf = (answer) => Number(answer.headers["upload-offset"])
const isPart = ({ method, url }) => method === "PUT" && url.includes("partNumber")

describe("files in S3", { skip }, () => {
  test("a large file is uploaded in parts, downloaded in ranges, and deleted with its message", async (t) => {
    const { asha, ben, conversationId, files } = await pair()
    const bytes = randomBytes(2 * PART + 3_000_000)
    const id = idOf(await files.create(conversationId, bytes.length))
    // Ends within a part, at its end, and past it.
    let offset = 0
    for (const to of [1_000_000, PART, PART + 1, bytes.length]) {
      const put = await files.patch(id, offset, bytes.subarray(offset, to))
      assert.equal(put.status, 204, put.bytes.toString())
      offset = to
      assert.equal(offsetOf(await files.head(id)), offset)
    }
    assert.equal(sha256((await files.download(id)).bytes), sha256(bytes))
    for (const [from, to] of [
      [0, 9],
      [PART - 5, PART + 5],
      [bytes.length - 10, bytes.length - 1],
    ]) {
      const part = await files.download(id, { range: `bytes=${from}-${to}` })
      assert.equal(part.status, 206)
      assert.deepEqual(part.bytes, bytes.subarray(from, to + 1))
    }
    await until(async () => (await objectsOf(id)).length === 1, "no tail is left")
    const client = await crowd(t, server).join(asha)
    const sent = await client.ask("send_private_message", { conversationId, content: "", attachments: [id] })
    assert.equal(sent.success, true, JSON.stringify(sent))
    assert.equal(sha256((await uploads(server, ben).download(id)).bytes), sha256(bytes))
    await request(server, "DELETE", `${MESSAGES}/${conversationId}/${sent.message.id}`, { as: asha })
    assert.equal((await files.download(id)).status, 404)
    await until(async () => (await objectsOf(id)).length === 0, "its bytes are gone", 60_000)
    assert.deepEqual(await multipartsOf(id), [])
  })

  test("small, empty and aborted uploads leave no objects behind", async () => {
    const { conversationId, files } = await pair()
    const small = randomBytes(5)
    const one = await files.whole(conversationId, small)
    const empty = idOf(await files.create(conversationId, 0))
    assert.deepEqual((await files.download(one)).bytes, small)
    assert.equal((await files.download(empty)).bytes.length, 0)
    const begun = idOf(await files.create(conversationId, 2 * PART))
    assert.equal((await files.patch(begun, 0, randomBytes(PART + 9))).status, 204)
    assert.equal((await multipartsOf(begun)).length, 1)
    for (const id of [one, empty, begun]) {
      assert.equal((await files.tus("DELETE", `/api/files/${id}`)).status, 204)
    }
    const left = async () =>
      (await Promise.all([one, empty, begun].flatMap((id) => [objectsOf(id), multipartsOf(id)]))).flat()
    await until(async () => (await left()).length === 0, "nothing is left", 60_000)
  })

  test("a checksum mismatch discards all bytes of its request", async () => {
    const { conversationId, files } = await pair()
    const bytes = randomBytes(PART + 100)
    const id = idOf(await files.create(conversationId, bytes.length))
    const sum = (of) => ({ "upload-checksum": `sha256 ${createHash("sha256").update(of).digest("base64")}` })
    assert.equal((await files.patch(id, 0, bytes, { headers: sum("another") })).status, 460)
    assert.equal(offsetOf(await files.head(id)), 0)
    assert.equal((await files.patch(id, 0, bytes, { headers: sum(bytes) })).status, 204)
    assert.equal(sha256((await files.download(id)).bytes), sha256(bytes))
  })

  test("M3: uploads cut at random bytes and resumed are complete", async () => {
    const { conversationId, files } = await pair()
    for (let done = 0; done < Number(process.env.CUTS ?? 12); ) {
      const bytes = randomBytes(20_000_000)
      const id = idOf(await files.create(conversationId, bytes.length))
      for (let offset = 0; offset < bytes.length; done++) {
        const rest = bytes.subarray(offset)
        const cutAt = Math.floor(Math.random() * rest.length * 1.2)
        await files.patch(id, offset, rest, cutAt < rest.length ? { cutAt } : {}).catch(() => null)
        const head = await files.head(id)
        assert.equal(head.status, 200)
        assert.ok(offsetOf(head) >= offset && offsetOf(head) <= bytes.length, "never back")
        offset = offsetOf(head)
      }
      assert.equal(sha256((await files.download(id)).bytes), sha256(bytes))
    }
  })

  test("M3: a node killed during an upload loses at most the bytes that it had not sent", async (t) => {
    const own = await serve(t, { ...OPEN, SERVER_KEY, FILE_QUOTA: "0" })
    const { asha, conversationId } = await pair(own)
    const bytes = randomBytes(2 * PART)
    const id = idOf(await uploads(nodeOf(own), asha).create(conversationId, bytes.length))
    for (let offset = 0, round = 0; offset < bytes.length; round++) {
      const node = own.nodes?.[round % own.nodes.length] ?? own
      const files = uploads(node, asha)
      const whole = bytes.subarray(offset, offset + 2_000_000)
      assert.equal((await files.patch(id, offset, whole)).status, 204)
      offset += whole.length
      const dying = bytes.subarray(offset, offset + PART)
      if (dying.length === 0) break
      const cutAt = Math.floor(Math.random() * dying.length)
      await files.patch(id, offset, dying, { cutAt }).catch(() => null)
      await node.kill()
      if (!own.nodes) await node.start()
      const other = own.nodes?.[(round + 1) % own.nodes.length] ?? own
      const now = offsetOf(await uploads(other, asha).head(id))
      assert.ok(now >= offset && now <= offset + cutAt, "what was acknowledged is there")
      offset = now
      if (own.nodes) await node.start()
    }
    assert.equal(sha256((await uploads(own, asha).download(id)).bytes), sha256(bytes))
  })

  test("M13: a failing S3 loses no bytes of an upload, and stored parts are not sent again", async () => {
    const { conversationId, files } = await pair()
    const bytes = randomBytes(2 * PART + 10)
    const id = idOf(await files.create(conversationId, bytes.length))
    assert.equal((await files.patch(id, 0, bytes.subarray(0, PART + 10))).status, 204)
    for (const status of [500, 503]) {
      // One that fails once is asked again.
      let failed = 0
      s3.fault = ({ method }) => (method === "PUT" && failed++ === 0 ? status : undefined)
      const offset = offsetOf(await files.head(id))
      const put = await files.patch(id, offset, bytes.subarray(offset, offset + 5))
      assert.equal(put.status, 204, put.bytes.toString())
    }
    s3.fault = ({ method }) => (method === "PUT" ? 503 : undefined)
    const refused = await files.patch(id, PART + 20, bytes.subarray(PART + 20))
    assert.equal(refused.status, 503)
    assert.equal(refused.body.code, "unavailable")
    s3.fault = () => undefined
    const offset = offsetOf(await files.head(id))
    assert.equal(offset, PART + 20)
    assert.equal((await files.patch(id, offset, bytes.subarray(offset))).status, 204)
    assert.equal(sha256((await files.download(id)).bytes), sha256(bytes))
  })

  test("M13: an upload survives a killed and restarted S3", async () => {
    const { conversationId, files } = await pair()
    const bytes = randomBytes(2 * PART + 10)
    const id = idOf(await files.create(conversationId, bytes.length))
    assert.equal((await files.patch(id, 0, bytes.subarray(0, PART + 10))).status, 204)
    // In the middle of a part.
    const seen = new Promise((resolve) => {
      s3.fault = (asked) => {
        if (!isPart(asked)) return undefined
        resolve()
        return "hang"
      }
    })
    const broken = files.patch(id, PART + 10, bytes.subarray(PART + 10))
    await seen
    await s3.down()
    s3.fault = () => undefined
    const refused = await broken
    assert.equal(refused.status, 503)
    assert.equal(refused.body.code, "unavailable")
    assert.equal((await files.download(id)).status, 404, "not whole yet")
    await s3.start()
    const offset = offsetOf(await files.head(id))
    assert.equal(offset, PART + 10)
    assert.equal((await files.patch(id, offset, bytes.subarray(offset))).status, 204)
    assert.equal(sha256((await files.download(id)).bytes), sha256(bytes))
  })

  test("M13: a hanging request to S3 is aborted, and the upload continues", async () => {
    const { conversationId, files } = await pair()
    const bytes = randomBytes(PART + 10)
    const id = idOf(await files.create(conversationId, bytes.length))
    s3.fault = (asked) => (isPart(asked) ? "hang" : undefined)
    const refused = await files.patch(id, 0, bytes)
    assert.equal(refused.status, 503)
    s3.fault = () => undefined
    const offset = offsetOf(await files.head(id))
    assert.equal((await files.patch(id, offset, bytes.subarray(offset))).status, 204)
    assert.equal(sha256((await files.download(id)).bytes), sha256(bytes))
  })

  test("a copy that S3 reports with 200 but did not make loses no bytes", async () => {
    const { conversationId, files } = await pair()
    const bytes = randomBytes(1_000)
    const id = idOf(await files.create(conversationId, bytes.length))
    const body = '<?xml version="1.0"?><Error xmlns="http://s3"><Code>InvalidRequest</Code></Error>'
    s3.fault = ({ headers }) => (headers["x-amz-copy-source"] ? { status: 200, body } : undefined)
    assert.equal((await files.patch(id, 0, bytes)).status, 503)
    assert.equal((await objectsOf(id)).length, 1, "its tail")
    s3.fault = () => undefined
    assert.equal(offsetOf(await files.head(id)), bytes.length)
    assert.deepEqual((await files.download(id)).bytes, bytes)
  })

  test("a 404 from a proxy is not taken as a missing file", async () => {
    const { conversationId, files } = await pair()
    const id = await files.whole(conversationId, randomBytes(10))
    for (const body of ["<h1>404 Not Found</h1>", "<Error><Code>NoSuchBucket</Code></Error>"]) {
      s3.fault = () => ({ status: 404, body })
      assert.equal((await files.download(id)).status, 503, body)
    }
    s3.fault = () => ({ status: 404, body: "<Error><Code>NoSuchKey</Code></Error>" })
    assert.equal((await files.download(id)).status, 404)
  })

  test("bytes written after the file was deleted and swept are deleted too", async () => {
    const { conversationId, files } = await pair()
    const id = idOf(await files.create(conversationId, 100))
    let go
    const wait = new Promise((resolve) => {
      go = resolve
    })
    let arrived
    const arrives = new Promise((resolve) => {
      arrived = resolve
    })
    let swept = 0
    let sweeps
    const isSwept = new Promise((resolve) => {
      sweeps = resolve
    })
    s3.fault = ({ method, url }) => {
      if (method === "PUT" && url.includes(id)) {
        arrived()
        return wait
      }
      // Its tails are listed, then the object and the thumbnail are deleted.
      if (method === "GET" && decodeURIComponent(url).includes(`uploads/${id}`)) swept = 1
      else if (swept > 0 && (method === "DELETE" || method === "POST") && ++swept === 3)
        setTimeout(sweeps, 200)
      return undefined
    }
    const late = files.patch(id, 0, randomBytes(50))
    await arrives
    assert.equal((await files.tus("DELETE", `/api/files/${id}`)).status, 204)
    await isSwept
    go()
    assert.ok((await late).status >= 400)
    await until(async () => (await objectsOf(id)).length === 0, "nothing is left")
  })

  test("a file that is too large for S3's part limit is refused at once", async (t) => {
    const own = await serve(t, { ...OPEN, ...s3Settings(), SERVER_KEY, FILE_QUOTA: "0", MAX_FILE_SIZE: "0" })
    const { conversationId, files } = await pair(own)
    const most = 4_500 * (64 << 20)
    assert.equal((await files.create(conversationId, most)).status, 201)
    const refused = await files.create(conversationId, most + 1)
    assert.equal(refused.status, 413)
    assert.equal(refused.body.code, "too_long")
  })

  test("M13: while S3 is down, downloads are unavailable, and a completion is resolved afterwards", async () => {
    const { conversationId, files } = await pair()
    const bytes = randomBytes(PART + 10)
    const id = idOf(await files.create(conversationId, bytes.length))
    // S3 completes the file, and its answer is lost.
    s3.fault = ({ method, url }) =>
      method === "HEAD" || (method === "GET" && !url.includes("uploads")) ? 503 : undefined
    const unknown = await files.patch(id, 0, bytes)
    assert.equal(unknown.status, 503)
    s3.fault = () => undefined
    assert.equal(offsetOf(await files.head(id)), bytes.length)
    s3.fault = () => 503
    const down = await files.download(id)
    assert.equal(down.status, 503)
    assert.equal(down.body.code, "unavailable")
    s3.fault = () => undefined
    assert.equal(sha256((await files.download(id)).bytes), sha256(bytes))
  })
})

describe("the settings of S3", { skip: skip || (isCluster ? "one node is enough" : false) }, () => {
  test("a wrong setting is explained at startup without showing a secret", async (t) => {
    const set = s3Settings()
    for (const [settings, expected] of [
      [{ FILES: "s3://" }, /FILES is "s3:\/\/".*expected s3:\/\/bucket/s],
      [{ FILES: "gs://bucket" }, /gs:\/\/ is neither/],
      [{ FILES: "s3://bucket" }, /neither AWS_REGION nor AWS_ENDPOINT_URL is set/],
      [{ FILES: "s3://bucket", AWS_REGION: "eu-1", AWS_ACCESS_KEY_ID: "k" }, /AWS_SECRET_ACCESS_KEY is not/],
      [{ FILES: "s3://bucket", AWS_ENDPOINT_URL: "minio:9000" }, /expected an address such as/],
      [{ ...set, FILES: "s3://no-such-bucket/a" }, /s3:\/\/no-such-bucket\/a \(LL-131\).*NoSuchBucket/s],
      [{ ...set, AWS_ENDPOINT_URL: "http://127.0.0.1:1" }, /LL-131.*nothing listens on 127\.0\.0\.1:1/s],
    ]) {
      const { code, stderr } = await refuses(t, { ...OPEN, ...settings })
      assert.notEqual(code, 0)
      assert.match(stderr, expected)
      assert.ok(!stderr.includes("secret"), stderr)
    }
  })

  test("startup tests each permission and leaves no object behind", async (t) => {
    const denied = (code) =>
      `<Error><Code>${code}</Code><Message>m</Message><StringToSign>token1</StringToSign></Error>`
    const set = s3Settings(s3.port)
    for (const [isAsked, expected] of [
      [
        ({ method, url }) => method === "GET" && url.includes("list-type"),
        /cannot list objects: S3 answered 403: AccessDenied/,
      ],
      [
        ({ method, url }) => method === "HEAD" && url.includes("missing"),
        /cannot ask for an object that is not there: S3 answered 403/,
      ],
      [({ headers }) => headers["x-amz-copy-source"] !== undefined, /cannot copy an object: /],
      [(asked) => isPart(asked), /cannot send a part: /],
      [
        ({ method, url }) => method === "POST" && url.includes("uploadId"),
        /cannot complete a multipart upload: /,
      ],
    ]) {
      s3.fault = (asked) => (isAsked(asked) ? { status: 403, body: denied("AccessDenied") } : undefined)
      const { code, stderr } = await refuses(t, { ...OPEN, ...set })
      assert.notEqual(code, 0)
      assert.match(stderr, /LL-131/)
      assert.match(stderr, expected)
      assert.ok(!stderr.includes("token1"), stderr)
    }
    s3.fault = () => undefined
    const prefix = set.FILES.split("/files/")[1]
    assert.deepEqual(await objectsOf(`${prefix}/.lamplight-check`), [])
    assert.deepEqual(await multipartsOf(`${prefix}/.lamplight-check`), [])
  })

  test("the doctor tests the bucket", async (t) => {
    const home = await mkdtemp(join(tmpdir(), "lamplight-e2e-"))
    t.after(() => rm(home, { recursive: true, force: true }))
    const doctor = (settings) =>
      new Promise((resolve) => {
        const env = { PATH: process.env.PATH, ...OPEN, ...settings, LISTEN: "127.0.0.1:0", DATA_DIR: home }
        execFile(BINARY, ["doctor"], { cwd: home, env }, (_, stdout) => resolve(stdout))
      })
    assert.match(await doctor(s3Settings()), /can be written, read and deleted/)
    const wrong = await doctor({ ...s3Settings(), FILES: "s3://no-such-bucket/a" })
    assert.match(wrong, /LL-131/)
    assert.match(wrong, /Make the bucket/)
    for (const [code, fix] of [
      ["RequestTimeTooSkewed", /Set the clock/],
      ["ExpiredToken", /Renew AWS_SESSION_TOKEN/],
      ["AccessDenied", /these rights/],
    ]) {
      s3.fault = () => ({
        status: 403,
        body: `<Error><Code>${code}</Code><Message>not NoSuchBucket</Message></Error>`,
      })
      assert.match(await doctor(s3Settings(s3.port)), fix)
    }
  })
})
