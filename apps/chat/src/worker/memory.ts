/** What the worker remembers while it does not run: whose device this is, and the messages that it has shown. */
import type { Owner } from "./messages"

/** So many messages are remembered: a push that comes twice comes soon. */
const SEEN_AT_MOST = 4_000
/** So many are forgotten at a time. */
const FORGET = 500

let opening: Promise<IDBDatabase> | null = null

function open(): Promise<IDBDatabase> {
  opening ??= new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open("lamplight-worker", 1)
    request.onupgradeneeded = () => {
      request.result.createObjectStore("values")
      // In the order in which they came.
      request.result.createObjectStore("seen", { autoIncrement: true }).createIndex("id", "")
    }
    request.onsuccess = () => {
      const forget = () => {
        opening = null
      }
      request.result.onversionchange = () => {
        request.result.close()
        forget()
      }
      request.result.onclose = forget
      resolve(request.result)
    }
    request.onerror = () => reject(request.error)
  })
  opening.catch(() => {
    opening = null
  })
  return opening
}

const asked = <T>(request: IDBRequest<T>) =>
  new Promise<T>((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

async function store(name: "values" | "seen", mode: IDBTransactionMode): Promise<IDBObjectStore> {
  const begin = async () => (await open()).transaction(name, mode).objectStore(name)
  try {
    return await begin()
  } catch {
    // Safari ends a connection without an event.
    opening = null
    return begin()
  }
}

/** Null: no user has turned notifications on, or that user has signed out. */
export async function owner(): Promise<Owner | null> {
  return (await asked<Owner | undefined>((await store("values", "readonly")).get("owner"))) ?? null
}

export async function setOwner(owner: Owner | null): Promise<void> {
  const values = await store("values", "readwrite")
  if (owner) await asked(values.put(owner, "owner"))
  else await asked(values.delete("owner"))
  if (!owner) await asked((await store("seen", "readwrite")).clear())
}

/** The language that the user has chosen for this device; null: the system's. */
export async function chosenLanguage(): Promise<string | null> {
  return (await asked<string | undefined>((await store("values", "readonly")).get("language"))) ?? null
}

export async function setChosenLanguage(language: string | null): Promise<void> {
  const values = await store("values", "readwrite")
  if (language) await asked(values.put(language, "language"))
  else await asked(values.delete("language"))
}

export async function isSeen(messageId: string): Promise<boolean> {
  return (await asked((await store("seen", "readonly")).index("id").count(messageId))) > 0
}

export async function setSeen(messageId: string): Promise<void> {
  const seen = await store("seen", "readwrite")
  await asked(seen.add(messageId))
  if ((await asked(seen.count())) <= SEEN_AT_MOST) return
  const oldest = await asked(seen.getAllKeys(null, FORGET))
  const last = oldest.at(-1)
  if (last !== undefined) await asked(seen.delete(IDBKeyRange.upperBound(last)))
}
