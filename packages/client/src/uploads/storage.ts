/**
 * Uploads in IndexedDB: a database of their own, since a large file takes longer to write than the client waits for its other
 * storage.
 */
import type { UploadRecord, UploadStorage } from "../options.js"

const asked = <T>(request: IDBRequest<T>) =>
  new Promise<T>((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

export function indexedDbUploads(name: string): UploadStorage {
  let opening: Promise<IDBDatabase> | null = null

  function open(): Promise<IDBDatabase> {
    opening ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(name, 1)
      request.onupgradeneeded = () => {
        request.result.createObjectStore("uploads", { keyPath: "id" }).createIndex("user", "userId")
        request.result.createObjectStore("bytes")
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

  async function write(
    stores: string[],
    work: (store: (name: string) => IDBObjectStore) => void,
  ): Promise<void> {
    const transaction = (await open()).transaction(stores, "readwrite", { durability: "strict" })
    work((store) => transaction.objectStore(store))
    // So that it outlives the page, should that end now.
    transaction.commit()
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve()
      transaction.onabort = transaction.onerror = () => reject(transaction.error)
    })
  }

  const read = async (store: string) => (await open()).transaction(store).objectStore(store)

  return {
    all: async (userId) => asked<UploadRecord[]>((await read("uploads")).index("user").getAll(userId)),
    put: (record, bytes) =>
      // The bytes are written once: a change of the record must not write them again.
      write(bytes ? ["uploads", "bytes"] : ["uploads"], (store) => {
        store("uploads").put(record)
        if (bytes) store("bytes").put(bytes, record.id)
      }),
    bytes: async (id) => asked<Blob | undefined>((await read("bytes")).get(id)),
    delete: (id) =>
      write(["uploads", "bytes"], (store) => {
        store("uploads").delete(id)
        store("bytes").delete(id)
      }),
    close() {
      opening?.then((database) => database.close()).catch(() => {})
      opening = null
    },
  }
}
