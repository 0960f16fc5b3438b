/**
 * Uploads in IndexedDB: a database of their own, since a large file takes longer to write than the client waits for its other
 * storage.
 */
import type { UploadRecord, UploadStorage } from "../options.js"
import type { ClientTools } from "../tools.js"

export function indexedDbUploads(name: string, { createDatabase }: ClientTools): UploadStorage {
  const { read, write, close } = createDatabase(name, (database) => {
    database.createObjectStore("uploads", { keyPath: "id" }).createIndex("user", "userId")
    database.createObjectStore("bytes")
  })
  return {
    all: (userId) => read<UploadRecord[]>("uploads", (store) => store.index("user").getAll(userId)),
    put: (record, bytes) =>
      // The bytes are written once: a change of the record must not write them again.
      write(bytes ? ["uploads", "bytes"] : ["uploads"], (store) => {
        store("uploads").put(record)
        if (bytes) store("bytes").put(bytes, record.id)
      }),
    bytes: (id) => read<Blob | undefined>("bytes", (store) => store.get(id)),
    delete: (id) =>
      write(["uploads", "bytes"], (store) => {
        store("uploads").delete(id)
        store("bytes").delete(id)
      }),
    close,
  }
}
