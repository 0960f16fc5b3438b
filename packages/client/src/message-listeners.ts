/** Calls the application's listeners with each message that arrives live, and elects the one tab that makes a sound. */
import type { Core } from "./core.js"
import type { List } from "./list.js"
import type { Message } from "./wire.js"

type MessageListener = (message: Message, isLeader: boolean, isSilent: boolean) => void

/** The elected tab holds the lock this long, so that tabs that receive the message later find it taken. */
const CLAIM_MS = 5_000

export function createMessageListeners(core: Core, list: List): Set<MessageListener> {
  const listeners = new Set<MessageListener>()

  /** Whether the user has muted the conversation. A mention in a muted group still notifies. */
  function isMuted({ conversationId, mentions }: Message): boolean {
    const info = list.info(conversationId)
    return !!info?.muted && !(info.kind === "group" && mentions?.includes(core.me() ?? ""))
  }

  core.events.on("arrived", async (message) => {
    if (!listeners.size) return
    const me = core.me()
    // It may be muted and far down the list. With a new message it is on the first page.
    if (!list.get(message.conversationId)) await list.refresh().catch(() => {})
    let isLeader = false
    const notify = () => {
      // Another user is signed in by now.
      if (!core.isUser(me)) return
      const isSilent = isMuted(message)
      // Each listener runs in its own task, so that one that throws does not prevent the others.
      for (const listener of [...listeners]) queueMicrotask(() => listener(message, isLeader, isSilent))
    }
    const claim = core.withLock(
      // The name is shared with tabs of earlier versions.
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
