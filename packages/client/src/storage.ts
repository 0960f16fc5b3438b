import { createDatabase } from "./database.js"
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

/** Storage in the browser's IndexedDB. Opened when first used. */
export function indexedDbStorage(name = "lamplight"): ClientStorage {
  const { read, write, close } = createDatabase(name, (database) => {
    database.createObjectStore("outbox", { keyPath: "clientMessageId" }).createIndex("user", "userId")
    database.createObjectStore("values")
  })
  return {
    outbox: (userId) => read<OutboxRecord[]>("outbox", (store) => store.index("user").getAll(userId)),
    putOutbox: (record) => write("outbox", (store) => store("outbox").put(record)),
    deleteOutbox: (id) => write("outbox", (store) => store("outbox").delete(id)),
    get: (key) => read<unknown>("values", (store) => store.get(key)),
    set: (key, value) =>
      write("values", (store) => {
        if (value === undefined) store("values").delete(key)
        else store("values").put(value, key)
      }),
    close,
  }
}
