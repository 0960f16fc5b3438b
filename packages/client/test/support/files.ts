/** The server's files, for tests: uploads by tus in memory, and signed addresses. */

import type { UploadRecord } from "../../src/options.js"

interface Stored {
  size: number
  bytes: Uint8Array
  metadata: Record<string, string>
}

export class TestFiles {
  stored = new Map<string, Stored>()
  /** Each request, as `METHOD /path`, and who asked. */
  seen: { what: string; who: string | undefined; offset: string | undefined }[] = []
  /** Called with each request: an answer takes the place of the server's own. */
  instead: (what: string) => Response | Promise<Response> | undefined = () => undefined
  /** No request gets an answer until it is aborted. */
  hangs = false
  expiresAt = () => new Date(Date.parse("2026-03-01T12:00:00.000Z") + 12 * 3_600_000).toISOString()
  #serial = 0

  async answer(
    method: string,
    path: string,
    headers: Record<string, string>,
    init: RequestInit,
  ): Promise<Response> {
    const what = `${method} ${path}`
    const who = headers.authorization ?? headers["x-user-id"]
    this.seen.push({ what, who, offset: headers["upload-offset"] })
    if (this.hangs)
      await new Promise((_, reject) =>
        init.signal?.addEventListener("abort", () => reject(new Error("aborted"))),
      )
    const other = await this.instead(what)
    if (other) return other
    const id = path.split("/")[3] ?? ""
    if (path.endsWith("/url")) {
      if (!this.stored.has(id)) return refused(404, "not_found")
      const url = `/api/files/${id}?signature=${++this.#serial}`
      return new Response(JSON.stringify({ success: true, url, expiresAt: this.expiresAt() }))
    }
    if (method === "POST") {
      const fresh = `file-${++this.#serial}`
      const pairs = (headers["upload-metadata"] ?? "").split(",").map((pair) => pair.split(" "))
      const text = (encoded = "") => Buffer.from(encoded, "base64").toString()
      const metadata = Object.fromEntries(pairs.map(([key, value]) => [key, text(value)]))
      this.stored.set(fresh, { size: Number(headers["upload-length"]), bytes: new Uint8Array(), metadata })
      return new Response(null, { status: 201, headers: { location: `/api/files/${fresh}` } })
    }
    const file = this.stored.get(id)
    if (!file) return refused(404, "not_found")
    if (method === "DELETE") {
      this.stored.delete(id)
      return new Response(null, { status: 204 })
    }
    const offset = () => ({ "upload-offset": `${file.bytes.length}`, "upload-length": `${file.size}` })
    if (method === "HEAD") return new Response(null, { headers: offset() })
    if (Number(headers["upload-offset"]) !== file.bytes.length) return refused(409, "conflict", offset())
    const part = new Uint8Array(await (init.body as Blob).arrayBuffer())
    file.bytes = new Uint8Array([...file.bytes, ...part])
    return new Response(null, { status: 204, headers: offset() })
  }
}

export const refused = (status: number, code: string, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify({ success: false, code, error: `It is ${code}.`, retryable: status >= 500 }), {
    status,
    headers,
  })

/** Storage of uploads that outlives a page, as a browser's does. */
export function makeUploadStorage() {
  const records = new Map<string, UploadRecord>()
  const bytes = new Map<string, Blob>()
  return {
    records,
    all: async (userId: string) => [...records.values()].filter((record) => record.userId === userId),
    async put(record: UploadRecord, blob?: Blob) {
      records.set(record.id, structuredClone(record))
      if (blob) bytes.set(record.id, blob)
    },
    bytes: async (id: string) => bytes.get(id),
    async delete(id: string) {
      records.delete(id)
      bytes.delete(id)
    },
  }
}
