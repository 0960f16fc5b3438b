// A push service as the browsers' vendors run them, for tests: it checks the server's signature (RFC 8292), and what it
// gets is decrypted as a browser does (RFC 8291). It speaks http on loopback, which PUSH_ALLOW lets in: what is secret is
// encrypted within, so that TLS would show nothing more.
import assert from "node:assert/strict"
import {
  createDecipheriv,
  createECDH,
  createPublicKey,
  hkdfSync,
  randomBytes,
  randomUUID,
  verify,
} from "node:crypto"
import { createServer } from "node:http"
import { until } from "./wait.mjs"

const base64 = (bytes) => Buffer.from(bytes).toString("base64url")

/** A browser's side of a subscription. */
class Device {
  /** Payloads that the service took, in the order of arrival: the JSON, with `at` and the `key` it was signed with. */
  received = []
  /** All requests, also those that were refused. */
  asked = []
  /** Answers to come; 201 when there are none. */
  answers = []
  #ecdh = createECDH("prime256v1")
  #auth = randomBytes(16)

  constructor(endpoint) {
    this.endpoint = endpoint
    this.#ecdh.generateKeys()
  }

  /** As `PushSubscription.toJSON()` has it. */
  get subscription() {
    const keys = { p256dh: base64(this.#ecdh.getPublicKey()), auth: base64(this.#auth) }
    return { endpoint: this.endpoint, expirationTime: null, keys }
  }

  /** The data that a service worker receives. */
  decrypt(body) {
    const salt = body.subarray(0, 16)
    const length = body[20]
    const sender = body.subarray(21, 21 + length)
    const sealed = body.subarray(21 + length)
    assert.ok(sealed.length <= body.readUInt32BE(16), "one record")
    const info = Buffer.concat([Buffer.from("WebPush: info\0"), this.#ecdh.getPublicKey(), sender])
    const secret = hkdfSync("sha256", this.#ecdh.computeSecret(sender), this.#auth, info, 32)
    const derive = (name, bytes) =>
      Buffer.from(hkdfSync("sha256", secret, salt, `Content-Encoding: ${name}\0`, bytes))
    const cipher = createDecipheriv("aes-128-gcm", derive("aes128gcm", 16), derive("nonce", 12))
    cipher.setAuthTag(sealed.subarray(-16))
    const padded = Buffer.concat([cipher.update(sealed.subarray(0, -16)), cipher.final()])
    const end = padded.lastIndexOf(2)
    assert.ok(end >= 0 && padded.subarray(end + 1).every((byte) => byte === 0), "the last record")
    return JSON.parse(padded.subarray(0, end).toString())
  }

  /** Waits for this many different messages. */
  async gets(count, limit) {
    await until(
      () => this.messages.length >= count,
      `${count} messages come, not ${this.messages.length}`,
      limit,
    )
    return this.received
  }

  /** The ids of received messages, each once. */
  get messages() {
    return [...new Set(this.received.map((one) => one.messageId))]
  }
}

/** Checks `Authorization`, and returns the public key. */
function signer(header, origin) {
  const [, token, key] = /^vapid t=([\w-]+\.[\w-]+\.[\w-]+), k=([\w-]+)$/.exec(header) ?? assert.fail(header)
  const [head, claims, signature] = token.split(".")
  const point = Buffer.from(key, "base64url")
  assert.equal(point.length, 65)
  const jwk = { kty: "EC", crv: "P-256", x: base64(point.subarray(1, 33)), y: base64(point.subarray(33)) }
  const publicKey = createPublicKey({ key: jwk, format: "jwk" })
  const signed = Buffer.from(`${head}.${claims}`)
  const bytes = Buffer.from(signature, "base64url")
  assert.ok(verify("sha256", signed, { key: publicKey, dsaEncoding: "ieee-p1363" }, bytes), "its signature")
  assert.equal(JSON.parse(Buffer.from(head, "base64url")).alg, "ES256")
  const { aud, exp, sub } = JSON.parse(Buffer.from(claims, "base64url"))
  assert.equal(aud, origin)
  const left = exp - Date.now() / 1_000
  assert.ok(left > 0 && left <= 24 * 3_600, `it holds for ${left} s`)
  return { key, sub }
}

/**
 * Starts a push service.
 * @param {{ after(end: () => unknown): void }} t
 */
export async function pushService(t) {
  const devices = new Map()
  const faults = []
  let pause = 0
  const take = async (request, body) => {
    const device = devices.get(request.url)
    if (!device) return 404
    const signed = signer(request.headers.authorization, origin)
    assert.equal(request.headers["content-encoding"], "aes128gcm")
    assert.match(request.headers.ttl, /^\d+$/)
    assert.equal(request.headers.urgency, "high")
    const payload = device.decrypt(body)
    const one = { ...payload, ...signed, at: performance.now() }
    device.asked.push(one)
    const answer = device.answers.shift() ?? 201
    if (answer === 201) device.received.push(one)
    if (pause) await new Promise((resolve) => setTimeout(resolve, pause))
    return answer
  }
  const server = createServer((request, response) => {
    const parts = []
    request.on("data", (part) => parts.push(part))
    request.on("error", () => null)
    request.on("end", async () => {
      const body = Buffer.concat(parts)
      const status = await take(request, body).catch((error) => {
        faults.push(error)
        return 400
      })
      response.writeHead(status, { "content-length": 0 })
      response.end()
    })
  })
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  const origin = `http://127.0.0.1:${server.address().port}`
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    origin,
    /** The errors in requests. */
    faults,
    /** The delay of each answer in milliseconds. */
    slow(millis) {
      pause = millis
    },
    device() {
      const path = `/push/${randomUUID()}`
      const device = new Device(origin + path)
      devices.set(path, device)
      return device
    },
  }
}
