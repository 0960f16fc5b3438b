/** An IndexedDB database: opened on first use, and reopened after the browser closed it. */
export interface Database {
  /**
   * Resolves when the transaction is complete: only then is the value durable. It is committed at once: when a page ends, browsers abort
   * uncommitted transactions and finish committed ones. `work` may run twice.
   */
  write(stores: string | string[], work: (store: (name: string) => IDBObjectStore) => void): Promise<void>
  read<T>(store: string, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T>
  close(): void
}

/** Safari closes a connection without an event when its storage process ends: requests then fail with these errors. */
const LOST = ["InvalidStateError", "UnknownError"]

/** `make` creates the object stores of a new database. */
export function createDatabase(name: string, make: (database: IDBDatabase) => void): Database {
  let opening: Promise<IDBDatabase> | null = null

  function open(): Promise<IDBDatabase> {
    if (opening) return opening
    const mine = new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(name, 1)
      request.onupgradeneeded = () => make(request.result)
      request.onsuccess = () => {
        // Another tab with a newer version must not wait for this one.
        request.result.onversionchange = () => {
          request.result.close()
          forget(mine)
        }
        // The browser closed it (storage cleared, its process ended): the next use opens it again.
        request.result.onclose = () => forget(mine)
        resolve(request.result)
      }
      request.onerror = () => reject(request.error)
    })
    opening = mine
    mine.catch(() => forget(mine))
    return mine
  }

  function forget(one: Promise<IDBDatabase>): void {
    if (opening === one) opening = null
  }

  function close(one: Promise<IDBDatabase> | null): void {
    if (!one) return
    forget(one)
    one.then((database) => database.close()).catch(() => {})
  }

  async function use<T>(work: (database: IDBDatabase) => Promise<T>): Promise<T> {
    const mine = open()
    try {
      return await work(await mine)
    } catch (thrown) {
      if (!LOST.includes((thrown as DOMException | null)?.name ?? "")) throw thrown
      close(mine)
      return work(await open())
    }
  }

  return {
    write: (stores, work) =>
      use(async (database) => {
        const transaction = database.transaction(stores, "readwrite", { durability: "strict" })
        work((store) => transaction.objectStore(store))
        transaction.commit?.()
        await new Promise<void>((resolve, reject) => {
          transaction.oncomplete = () => resolve()
          transaction.onabort = () => reject(transaction.error)
        })
      }),
    read: (store, ask) =>
      use(
        (database) =>
          new Promise((resolve, reject) => {
            const request = ask(database.transaction(store).objectStore(store))
            request.onsuccess = () => resolve(request.result)
            request.onerror = () => reject(request.error)
          }),
      ),
    close: () => close(opening),
  }
}
