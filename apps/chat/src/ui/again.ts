import { useEffect, useState, useSyncExternalStore } from "react"

/** How often the network or the server came back. */
let returns = 0
const listeners = new Set<() => void>()

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

const never = () => () => {}

/** The network or the server is back: what could not be loaded is tried again. */
export function tryAgain(): void {
  returns += 1
  for (const listener of listeners) listener()
}

addEventListener("online", tryAgain)

/**
 * Whether an address could not be loaded. It is tried again when the network or the server is back, and another address is tried at
 * once. `tries` grows with each of these attempts: an element that does not load again by itself takes it as its key.
 */
export function useLoad(address: string | null): { isFailed: boolean; tries: number; fail: () => void } {
  const [failed, setFailed] = useState<string | null>(null)
  const [tries, setTries] = useState(0)
  const count = useSyncExternalStore(failed === null ? never : subscribe, () => returns)
  const attempt = `${count} ${address}`
  const isFailed = failed === attempt
  useEffect(() => {
    if (failed === null || isFailed) return
    setFailed(null)
    setTries((n) => n + 1)
  }, [failed, isFailed])
  return { isFailed, tries, fail: () => setFailed(attempt) }
}
