import type { ClientStorage, OutboxRecord } from "./options.js"

/** Storage that lasts as long as the page. */
export function memoryStorage(): ClientStorage {
  const records = new Map<string, OutboxRecord>()
  const values = new Map<string, unknown>()
  return {
    outbox: async (userId) => [...records.values()].filter((record) => record.userId === userId),
    putOutbox: async (record) => void records.set(record.clientMessageId, record),
    deleteOutbox: async (id) => void records.delete(id),
    get: async (key) => values.get(key),
    set: async (key, value) => void (value === undefined ? values.delete(key) : values.set(key, value)),
  }
}

const asked = <T>(request: IDBRequest<T>) =>
  new Promise<T>((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

/** Storage in the browser's IndexedDB. Opened when first used. */
export function indexedDbStorage(name = "lamplight"): ClientStorage {
  let opening: Promise<IDBDatabase> | null = null

  function open(): Promise<IDBDatabase> {
    opening ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(name, 1)
      request.onupgradeneeded = () => {
        request.result
          .createObjectStore("outbox", { keyPath: "clientMessageId" })
          .createIndex("user", "userId")
        request.result.createObjectStore("values")
      }
      request.onsuccess = () => {
        // Another tab with a newer version must not wait for this one.
        request.result.onversionchange = () => {
          request.result.close()
          opening = null
        }
        // The browser closed it (storage cleared, its process ended): the next use opens it again.
        request.result.onclose = () => {
          opening = null
        }
        resolve(request.result)
      }
      request.onerror = () => reject(request.error)
    })
    opening.catch(() => {
      opening = null
    })
    return opening
  }

  /**
   * Resolves when the transaction is complete: only then is the value durable. It is committed at once: browsers abort what a page has
   * not committed when it ends, and finish what it has.
   */
  async function write(store: string, work: (store: IDBObjectStore) => void): Promise<void> {
    const transaction = (await open()).transaction(store, "readwrite", { durability: "strict" })
    work(transaction.objectStore(store))
    transaction.commit()
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve()
      transaction.onabort = transaction.onerror = () => reject(transaction.error)
    })
  }

  const read = async (store: string) => (await open()).transaction(store).objectStore(store)

  return {
    outbox: async (userId) => asked<OutboxRecord[]>((await read("outbox")).index("user").getAll(userId)),
    putOutbox: (record) => write("outbox", (store) => store.put(record)),
    deleteOutbox: (id) => write("outbox", (store) => store.delete(id)),
    get: async (key) => asked<unknown>((await read("values")).get(key)),
    set: (key, value) =>
      write("values", (store) => (value === undefined ? store.delete(key) : store.put(value, key))),
    close() {
      opening?.then((database) => database.close()).catch(() => {})
      opening = null
    },
  }
}
