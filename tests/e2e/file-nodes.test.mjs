// Uploads whose requests reach several nodes, which die and hang while they write.
import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { describe, test } from "node:test"
import { conversationOf, crowd, somebody } from "./support/person.mjs"
import { isCluster, OPEN, SERVER_KEY, serve } from "./support/server.mjs"
import { openPatch, sha256, uploads } from "./support/tus.mjs"
import { until } from "./support/wait.mjs"

const skip = isCluster ? false : "needs three nodes: run it by run-cluster.mjs"

describe("an upload that one node writes", { skip }, () => {
  /** A cluster, and an upload that its first node writes: `begun` bytes of it have arrived there. */
  async function writing(t, begun = 400_000) {
    const cluster = await serve(t, { ...OPEN, SERVER_KEY, FILE_QUOTA: "0" })
    const [asha, ben] = [somebody("asha"), somebody("ben")]
    const conversationId = await conversationOf(cluster, asha, ben)
    const watcher = await crowd(t, cluster).join(ben)
    const bytes = randomBytes(1_000_000)
    const by = cluster.nodes.map((node) => uploads(node, asha))
    const made = await by[0].create(conversationId, bytes.length)
    const id = made.headers.location.split("/").at(-1)
    const first = openPatch(cluster.nodes[0], asha, id, 0, bytes.length)
    t.after(() => first.cut())
    first.more(bytes.subarray(0, begun))
    const record = async (columns) =>
      (await cluster.query(`SELECT ${columns} FROM files WHERE id = '${id}'`)).trim()
    await until(
      async () => (await record("claimed, generation")) === "1|1",
      "the first node writes it",
      20_000,
    )
    // It has received the bytes that it reports.
    if (begun > 0) await watcher.sees("file_progress", (one) => one.fileId === id && one.received > 0)
    const isWhole = async () => {
      for (const files of by) assert.equal(sha256((await files.download(id)).bytes), sha256(bytes))
    }
    return { cluster, bytes, by, id, ben, first, record, isWhole }
  }

  test("M3: continues at another node, which gets the earlier bytes", async (t) => {
    const { bytes, by, id, first, record, isWhole } = await writing(t)
    const head = await by[1].head(id)
    assert.equal(head.status, 200)
    const offset = Number(head.headers["upload-offset"])
    assert.ok(offset <= 400_000)
    assert.equal(await record("received"), String(offset), "an offset is noted")
    assert.equal(await first.answer, 204, "the first request ends with what it has")
    assert.equal((await by[2].patch(id, offset, bytes.subarray(offset))).status, 204)
    await isWhole()
  })

  test("M3: continues with a request without an earlier HEAD", async (t) => {
    const { bytes, by, id, isWhole } = await writing(t, 0)
    const whole = await by[1].patch(id, 0, bytes)
    assert.equal(whole.status, 204, whole.bytes.toString())
    await isWhole()
  })

  test("M3: continues at another node after the first one died", async (t) => {
    const { cluster, bytes, by, id, isWhole } = await writing(t)
    await cluster.nodes[0].kill()
    const head = await by[1].head(id)
    assert.equal(head.status, 200)
    const offset = Number(head.headers["upload-offset"])
    assert.equal((await by[2].patch(id, offset, bytes.subarray(offset))).status, 204)
    await cluster.nodes[0].start()
    await isWhole()
  })

  test("is announced as failed, once, if that node dies and its client does not return", async (t) => {
    const { cluster, bytes, by, id, ben, record } = await writing(t)
    const watcher = await crowd(t, cluster.nodes[2]).join(ben)
    await until(async () => (await record("silent_at")) !== "", "the others were told of it", 20_000)
    await cluster.nodes[0].kill()
    const ends = (state) => (one) => one.fileId === id && one.state === state
    const failed = await watcher.sees("file_progress", ends("failed"), { within: 60_000 })
    assert.equal(String(failed.received), await record("received"))
    assert.equal(failed.userId, await record("(SELECT user_id FROM people WHERE id = owner)"))
    await until(async () => (await record("silent_at")) === "", "nobody watches it any more", 20_000)
    // The upload still continues and ends.
    const offset = Number((await by[1].head(id)).headers["upload-offset"])
    assert.equal((await by[1].patch(id, offset, bytes.subarray(offset))).status, 204)
    await watcher.sees("file_progress", ends("ready"))
    const all = watcher.all("file_progress")
    assert.equal(all.filter(ends("failed")).length, 1)
    await cluster.nodes[0].start()
  })

  test("M3: continues at another node while the first one hangs, and late bytes of the first change nothing", async (t) => {
    const { cluster, bytes, by, id, first, isWhole } = await writing(t)
    cluster.nodes[0].signal("SIGSTOP")
    t.after(() => cluster.nodes[0].signal("SIGCONT"))
    const head = await by[1].head(id)
    assert.equal(head.status, 200)
    const offset = Number(head.headers["upload-offset"])
    const middle = 700_000
    assert.equal((await by[1].patch(id, offset, bytes.subarray(offset, middle))).status, 204)
    // Other bytes than those of the file, at the same offsets.
    first.more(randomBytes(600_000))
    cluster.nodes[0].signal("SIGCONT")
    assert.equal(await first.answer, 409, "it lost the upload")
    assert.equal((await by[2].head(id)).headers["upload-offset"], String(middle))
    assert.equal((await by[0].patch(id, middle, bytes.subarray(middle))).status, 204)
    await isWhole()
  })
})
