/** Calls the application's listeners with each message that arrives live, and elects the one tab that makes a sound. */
import type { Core } from "./core.js"
import type { Message } from "./wire.js"

type MessageListener = (message: Message, isLeader: boolean) => void

/** The elected tab holds the lock this long, so that tabs that receive the message later find it taken. */
const CLAIM_MS = 5_000

export function createMessageListeners(core: Core): Set<MessageListener> {
  const listeners = new Set<MessageListener>()

  core.events.on("arrived", async (message) => {
    if (!listeners.size) return
    let isLeader = false
    const notify = () => {
      // Each in a task of its own, so that one that throws does not keep the message from the others.
      for (const listener of [...listeners]) queueMicrotask(() => listener(message, isLeader))
    }
    const claim = core.withLock(
      `lamplight:told:${core.scope}:${message.id}`,
      () => {
        isLeader = true
        notify()
        return new Promise<void>((resolve) => core.clock.after(CLAIM_MS, resolve))
      },
      true,
    )
    await claim.catch(() => {})
    if (!isLeader) notify()
  })

  return listeners
}
