// Uploads by tus 1.0.0 with plain requests, which can be cut at any byte.
import { createHash } from "node:crypto"
import { request as http } from "node:http"

export const BYTES = "application/offset+octet-stream"

export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex")

const base64 = (text) => Buffer.from(text).toString("base64")

/** `Upload-Metadata` */
export const metadata = (pairs) =>
  Object.entries(pairs)
    .map(([key, value]) => `${key} ${base64(value)}`)
    .join(",")

/**
 * One request with or without bytes.
 * @returns {Promise<{ status: number, headers: import("node:http").IncomingHttpHeaders, bytes: Buffer, body: any }>}
 */
export function raw(server, method, path, { as, headers = {}, bytes, cutAt } = {}) {
  return new Promise((resolve, reject) => {
    const all = { ...headers }
    if (as !== undefined) all["x-user-id"] = as
    if (bytes !== undefined) all["content-length"] ??= bytes.length
    const sent = http(server.url + path, { method, headers: all, agent: false }, (answer) => {
      const parts = []
      answer.on("data", (part) => parts.push(part))
      answer.on("error", reject)
      answer.on("end", () => {
        const whole = Buffer.concat(parts)
        let body
        try {
          body = JSON.parse(whole.toString())
        } catch {
          body = undefined
        }
        resolve({ status: answer.statusCode, headers: answer.headers, bytes: whole, body })
      })
    })
    sent.on("error", reject)
    if (cutAt === undefined) {
      sent.end(bytes)
      return
    }
    // What was written has left this process before the connection is cut.
    sent.write(bytes.subarray(0, cutAt), () => setImmediate(() => sent.destroy(new Error("cut"))))
  })
}

/** A PATCH that sends bytes and no end. `more` sends others; `answer` is its status. */
export function openPatch(server, as, id, offset, length) {
  const sent = http(`${server.url}/api/files/${id}`, {
    method: "PATCH",
    agent: false,
    headers: {
      "x-user-id": as,
      "tus-resumable": "1.0.0",
      "content-type": BYTES,
      "upload-offset": offset,
      "content-length": length,
    },
  })
  const answer = new Promise((resolve) => {
    sent.on("response", (response) => {
      response.resume()
      response.on("close", () => resolve(response.statusCode))
    })
    sent.on("error", (error) => resolve(error.code))
  })
  return { more: (bytes) => sent.write(bytes), answer, cut: () => sent.destroy() }
}

/** An uploader of one user. */
export function uploads(server, as) {
  const tus = (method, path, { headers = {}, ...more } = {}) =>
    raw(server, method, path, { as, headers: { "tus-resumable": "1.0.0", ...headers }, ...more })
  const create = (
    conversationId,
    size,
    { name = "a file.bin", type = "application/zip", headers, bytes } = {},
  ) =>
    tus("POST", "/api/files", {
      headers: {
        "upload-length": size,
        "upload-metadata": metadata({ filename: name, filetype: type, conversationId }),
        ...(bytes ? { "content-type": BYTES } : {}),
        ...headers,
      },
      bytes,
    })
  const patch = (id, offset, bytes, { headers, cutAt } = {}) =>
    tus("PATCH", `/api/files/${id}`, {
      headers: { "content-type": BYTES, "upload-offset": offset, ...headers },
      bytes,
      cutAt,
    })
  const head = (id) => tus("HEAD", `/api/files/${id}`)
  /** Uploads a file at once, and returns its id. */
  const whole = async (conversationId, bytes, options = {}) => {
    const made = await create(conversationId, bytes.length, { ...options, bytes })
    if (made.status !== 201) throw new Error(`no upload: ${made.status} ${made.bytes}`)
    return made.headers.location.split("/").at(-1)
  }
  const download = (id, headers) => raw(server, "GET", `/api/files/${id}`, { as, headers })
  return { tus, create, patch, head, whole, download }
}
