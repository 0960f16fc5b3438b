// Reads the final state: of a page, of the server's answers, of the database.
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import type { Server } from "../server"
import { frames, isCluster, type Person, until } from "../world"

export interface Shown {
  key: string
  seq: string
  isOwn: boolean
  state: string
  text: string
  isEdited: boolean
  isDeleted: boolean
  reactions: { emoji: string; count: number; mine: boolean }[]
  files: { name: string; address: string }[]
}

/** Everything that the browser has not sent yet. */
export const unsent = (person: Person): Promise<unknown[]> =>
  person.page.evaluate(async () => {
    const answer = <T>(request: IDBRequest<T>) =>
      new Promise<T>((resolve, reject) => {
        request.onsuccess = () => resolve(request.result)
        request.onerror = () => reject(request.error)
      })
    const all: unknown[] = []
    for (const { name = "" } of await indexedDB.databases()) {
      if (!name.startsWith("lamplight:")) continue
      const database = await answer(indexedDB.open(name))
      for (const store of ["outbox", "uploads"])
        if (database.objectStoreNames.contains(store))
          all.push(...(await answer(database.transaction(store).objectStore(store).getAll())))
      database.close()
    }
    return all
  })

/** Reads the thread as a person does, from its beginning to its end. */
export async function thread(person: Person): Promise<Shown[]> {
  const { page } = person
  const box = await person.on("log").boundingBox()
  if (!box) throw new Error("There is no thread.")
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2)
  const place = () =>
    page.evaluate(() => {
      const log = document.querySelector("[data-testid=log]") as HTMLElement
      const { scrollTop, scrollHeight, clientHeight } = log
      const isFirst = document.querySelector(".beginning") !== null
      return { isTop: scrollTop < 1 && isFirst, isEnd: scrollHeight - clientHeight - scrollTop < 2 }
    })
  await until(async () => {
    await page.mouse.wheel(0, -4_000)
    await frames(page, 2)
    return (await place()).isTop
  }, 60_000)
  const found = new Map<number, Shown>()
  const step = Math.round(box.height * 0.6)
  for (let isEnd = false; ; await page.mouse.wheel(0, step), await frames(page, 3)) {
    for (const [index, shown] of await page.evaluate(rows)) {
      const before = found.get(index)
      if (before && JSON.stringify(before) !== JSON.stringify(shown))
        throw new Error(
          `A row changed while it was read: ${JSON.stringify(before)}, ${JSON.stringify(shown)}`,
        )
      found.set(index, shown)
    }
    if (isEnd) break
    ;({ isEnd } = await place())
  }
  return [...found].sort(([one], [other]) => one - other).map(([, shown]) => shown)
}

/** The messages that are in the document, each with the place of its row. Runs in the page. */
function rows(): [number, Shown][] {
  return [...document.querySelectorAll<HTMLElement>(".log-row")].flatMap((place): [number, Shown][] => {
    const row = place.querySelector<HTMLElement>("[data-testid=message]")
    const bubble = row?.querySelector<HTMLElement>("[data-content]")
    if (!row || !bubble) return []
    const text = bubble.cloneNode(true) as HTMLElement
    for (const other of text.querySelectorAll(".edited, .attachments, .quote")) other.remove()
    const chips = [...row.querySelectorAll(".reaction")]
    const files = [...bubble.querySelectorAll<HTMLElement>(".file-place, .picture")].map((file) => ({
      name:
        file.querySelector<HTMLElement>(".file-name")?.title ??
        file.querySelector("img")?.getAttribute("alt") ??
        "",
      address: file.querySelector("a")?.getAttribute("href") ?? "",
    }))
    const shown: Shown = {
      key: row.dataset.key ?? "",
      seq: row.dataset.seq ?? "",
      isOwn: "own" in row.dataset,
      state: row.dataset.state ?? "",
      text: "deleted" in bubble.dataset ? "" : (text.textContent ?? ""),
      isEdited: bubble.querySelector(".edited") !== null,
      isDeleted: "deleted" in bubble.dataset,
      reactions: chips.map((chip) => ({
        emoji: chip.children[0]?.textContent ?? "",
        count: Number(chip.children[1]?.textContent),
        mine: chip.getAttribute("aria-pressed") === "true",
      })),
      files,
    }
    return [[Number(place.dataset.index), shown]]
  })
}

export interface Message {
  id: string
  seq: number
  senderId: string
  clientMessageId?: string
  content: string
  editedAt?: string
  deletedAt?: string
  reactions?: { emoji: string; count: number; mine: boolean; userIds: string[] }[]
  attachments?: { id: string; name: string; size: number; url: string; state: string }[]
}

/** The whole history as a person gets it over HTTP: the messages as they are now, or all entries. */
export async function history<T = Message>(person: Person, id: string, query = ""): Promise<T[]> {
  const all: T[] = []
  const origin = new URL(person.page.url()).origin
  for (let after = 0; ; ) {
    const path = `/api/privatechat/messages/${encodeURIComponent(id)}?after=${after}&limit=200${query}`
    const answer = await (await person.context.request.get(origin + path)).json()
    all.push(...answer.data)
    if (!answer.hasMore) return all
    after = answer.toSeq ?? answer.data.at(-1).seq
  }
}

/** The bytes of a file as a person downloads it. */
export async function download(person: Person, address: string): Promise<Buffer> {
  const response = await person.context.request.get(new URL(address, person.page.url()).href)
  if (!response.ok()) throw new Error(`${address}: ${response.status()}`)
  return response.body()
}

export interface Stored {
  entries: {
    seq: number
    message_id: string
    sender: string
    dedupe_key: string | null
    kind: string
    content: string
    edited: number | null
    deleted: number | null
  }[]
  reactions: { seq: number; emoji: string; user_id: string }[]
  files: { id: string; name: string; size: number; state: number; seq: number | null }[]
}

/** The rows of the database that belong to a conversation: of the SQLite file, or of PostgreSQL. */
export async function stored(server: Server, id: string): Promise<Stored> {
  const of = (table: string) =>
    `JOIN conversations v ON v.id = ${table}.conversation WHERE v.conversation_id = '${id.replaceAll("'", "''")}'`
  const [entries, reactions, files] = await Promise.all([
    select(
      server,
      `SELECT e.seq, e.message_id, p.user_id AS sender, e.dedupe_key, COALESCE(o.kind, 'message') AS kind,
         COALESCE(c.content, e.content) AS content, c.content_seq AS edited, c.deleted_seq AS deleted
       FROM entries e JOIN people p ON p.id = e.sender
       LEFT JOIN other_entries o ON o.conversation = e.conversation AND o.seq = e.seq
       LEFT JOIN message_changes c ON c.conversation = e.conversation AND c.seq = e.seq
       ${of("e")} ORDER BY e.seq`,
    ),
    select(
      server,
      `SELECT r.seq, r.emoji, p.user_id FROM reactions r JOIN people p ON p.id = r.person ${of("r")} ORDER BY r.entry_seq`,
    ),
    select(server, `SELECT f.id, f.name, f.size, f.state, f.seq FROM files f ${of("f")} ORDER BY f.id`),
  ])
  return { entries, reactions, files } as Stored
}

async function select(server: Server, sql: string): Promise<unknown[]> {
  if (isCluster)
    return JSON.parse(
      (await server.cluster?.query(`SELECT COALESCE(json_agg(t), '[]') FROM (${sql}) t`)) ?? "[]",
    )
  const script =
    "import sqlite3, sys, json; c = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True); " +
    "c.row_factory = sqlite3.Row; print(json.dumps([dict(row) for row in c.execute(sys.argv[2])]))"
  const words = ["-c", script, `${server.data}/lamplight.db`, sql]
  const { stdout } = await promisify(execFile)("python3", words, { maxBuffer: 64 << 20 })
  return JSON.parse(stdout)
}
