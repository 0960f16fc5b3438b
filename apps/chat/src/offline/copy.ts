/**
 * A copy of what the user saw last, for a page that is opened while the server is away: the list, and the ends of the conversations that
 * were opened. It is for reading only, of one user, and removed when that user signs out.
 */

/** The most conversations in the list. */
const LIST = 50
/** The most conversations with saved messages. */
const THREADS = 12
/** The most saved messages of a conversation. */
export const MESSAGES = 60
/** A longer text is cut. */
export const TEXT = 4_000

export interface SavedMessage {
  key: string
  author: string
  mine: boolean
  text: string
  createdAt: string
}

export interface SavedConversation {
  id: string
  title: string
  /** The other person of two; null in a group. */
  otherId: string | null
  last: string
  at: string
  unread: number
  headSeq: number
}

export interface SavedThread {
  id: string
  /** As of this entry of the log. */
  headSeq: number
  messages: SavedMessage[]
}

export interface Saved {
  userId: string
  /** Milliseconds since 1970. */
  at: number
  conversations: SavedConversation[]
}

const NAME = "lamplight-copy"

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1)
    request.onupgradeneeded = () => {
      request.result.createObjectStore("saved")
      request.result.createObjectStore("threads", { keyPath: "id" })
    }
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

/** Runs in one transaction, and closes the database: it is used seldom. */
async function use<T>(
  mode: IDBTransactionMode,
  work: (saved: IDBObjectStore, threads: IDBObjectStore) => Promise<T> | T,
): Promise<T> {
  const database = await open()
  try {
    const transaction = database.transaction(["saved", "threads"], mode)
    const ended = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(transaction.error)
    })
    const result = await work(transaction.objectStore("saved"), transaction.objectStore("threads"))
    await ended
    return result
  } finally {
    database.close()
  }
}

const asked = <T>(request: IDBRequest<T>) =>
  new Promise<T>((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

/**
 * Saves the list and these threads. Of the others, those stay that nothing has happened in since: what was deleted meanwhile would be
 * in them still.
 */
export function save(copy: Saved, threads: readonly SavedThread[]): Promise<void> {
  const conversations = copy.conversations.slice(0, LIST)
  return use("readwrite", async (saved, store) => {
    const before = await asked<Saved | undefined>(saved.get("copy"))
    if (before?.userId !== copy.userId) store.clear()
    const fresh = new Set(threads.map(({ id }) => id))
    const heads = new Map(conversations.map(({ id, headSeq }) => [id, headSeq]))
    const others = (await asked<SavedThread[]>(store.getAll())).filter(({ id }) => !fresh.has(id))
    const kept = others.filter(({ id, headSeq }) => heads.get(id) === headSeq)
    const order = [...heads.keys()]
    kept.sort((one, other) => order.indexOf(one.id) - order.indexOf(other.id))
    const room = Math.max(0, THREADS - threads.length)
    for (const { id } of [...others.filter((one) => !kept.includes(one)), ...kept.slice(room)])
      store.delete(id)
    for (const thread of threads.slice(0, THREADS)) store.put(thread)
    saved.put({ ...copy, conversations }, "copy")
  })
}

/** The saved copy; null if there is none. */
export async function readCopy(): Promise<Saved | null> {
  return (await use("readonly", (saved) => asked<Saved | undefined>(saved.get("copy")))) ?? null
}

export async function readThread(id: string): Promise<SavedThread | null> {
  return (await use("readonly", (_, threads) => asked<SavedThread | undefined>(threads.get(id)))) ?? null
}

/** Removes it. */
export function removeCopy(): void {
  try {
    indexedDB.deleteDatabase(NAME)
  } catch {
    // Storage is forbidden: there is no copy.
  }
}

/** Removes it, unless it is this user's. */
export async function removeCopyOfOthers(userId: string): Promise<void> {
  const copy = await readCopy()
  if (copy && copy.userId !== userId) removeCopy()
}
