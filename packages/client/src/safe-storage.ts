/** Storage that never fails its caller: errors and timeouts leave the client working in memory. */
import type { ClientStorage, Clock } from "./options.js"

type Method = "outbox" | "putOutbox" | "deleteOutbox" | "get" | "set"

/** Calls a method of the storage. Resolves to null if the storage fails or does not answer in time. */
export type SafeStorage = <M extends Method>(
  method: M,
  ...given: Parameters<ClientStorage[M]>
) => Promise<{ value: Awaited<ReturnType<ClientStorage[M]>> } | null>

/** A storage that takes longer than this for one call is not called again until it has answered that one. */
const STORAGE_LIMIT_MS = 2_000

/** Wraps a storage. `storage` is called with the first use; `changed` when the storage stops answering, and when it answers again. */
export function createSafeStorage(
  storage: () => ClientStorage,
  clock: Clock,
  changed: (isLost: boolean) => void,
): SafeStorage {
  let isLost = false
  const waiting = new Set<() => void>()

  /** After one timeout all pending calls fail, because the storage will not answer them either. */
  function giveUp(): void {
    if (isLost) return
    isLost = true
    for (const end of waiting) end()
    changed(true)
  }

  /** The storage was slow, or the device slept: it is not broken. */
  function found(): void {
    if (!isLost) return
    isLost = false
    changed(false)
  }

  return (method, ...given) =>
    new Promise((resolve) => {
      const end = (result: { value: never } | null) => {
        cancel()
        waiting.delete(fail)
        resolve(result)
      }
      const fail = () => end(null)
      const cancel = isLost ? () => {} : clock.after(STORAGE_LIMIT_MS, giveUp)
      if (isLost) return fail()
      waiting.add(fail)
      // In a promise, since a storage may also throw synchronously.
      Promise.resolve()
        .then(() => (storage()[method] as (...all: unknown[]) => Promise<never>)(...given))
        .then((value) => end({ value }), fail)
        .then(found)
    })
}
