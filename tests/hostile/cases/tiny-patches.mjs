// Two hundred uploads of twelve users, each continued by requests of one byte, as fast as they are answered.
const counts = { begun: 0, patched: 0, limited: 0, other: {} }
export const tally = () => counts

const NAMES = Array.from({ length: 12 }, (_, n) => `uploader${n}`)
const TUS = { "tus-resumable": "1.0.0" }
const pair = (key, value) => `${key} ${Buffer.from(value).toString("base64")}`

export async function prepare({ server, ask, token }) {
  const body = { memberIds: NAMES.slice(1), name: "Uploads" }
  const as = token(NAMES[0])
  const opened = await ask(server.url, "/api/privatechat/conversations", { as, method: "POST", body })
  return { id: opened.body.conversation.id }
}

export async function attack({ url, loop, token, given, count, address }) {
  const { Agent, request } = await import("node:http")
  const agent = new Agent({ keepAlive: true, maxSockets: count, localAddress: address })
  const send = (method, path, as, headers, body = "") =>
    new Promise((resolve, reject) => {
      const sent = request(new URL(path, url), {
        method,
        agent,
        localAddress: address,
        headers: { ...TUS, authorization: `Bearer ${as}`, "content-length": body.length, ...headers },
      })
      sent.on("response", (answer) => {
        answer.resume()
        answer.on("end", () => resolve(answer))
      })
      sent.on("error", reject)
      sent.end(body)
    })
  const uploads = Array(count)
  await loop(count, async (n) => {
    const as = token(NAMES[n % NAMES.length])
    const upload = uploads[n]
    if (!upload || upload.at === 1_000) {
      const metadata = [pair("conversationId", given.id), pair("filename", "x.txt")].join(",")
      const made = await send("POST", "/api/files", as, {
        "upload-length": "1000",
        "upload-metadata": metadata,
      })
      if (made.statusCode === 201) {
        counts.begun++
        uploads[n] = { path: made.headers.location, at: 0 }
      } else if (made.statusCode === 429) counts.limited++
      else counts.other[`POST ${made.statusCode}`] = (counts.other[`POST ${made.statusCode}`] ?? 0) + 1
      return
    }
    const headers = { "upload-offset": `${upload.at}`, "content-type": "application/offset+octet-stream" }
    const { statusCode, headers: said } = await send("PATCH", upload.path, as, headers, "x")
    if (statusCode === 204) {
      upload.at++
      counts.patched++
    } else if (statusCode === 429) counts.limited++
    else {
      counts.other[statusCode] = (counts.other[statusCode] ?? 0) + 1
      if (said["upload-offset"]) upload.at = Number(said["upload-offset"])
    }
  })
  return counts
}

export function check({ attack }, assert) {
  assert.ok(attack.patched > 0, JSON.stringify(attack))
  assert.deepEqual(attack.other, {})
}
