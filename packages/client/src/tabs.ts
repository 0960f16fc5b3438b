/** The user's other tabs, through a BroadcastChannel. */
import type { Core } from "./core.js"
import type { TabMessage } from "./events.js"
import type { Channel } from "./options.js"

export interface Tabs {
  /** Opens the channel, unless it is open. */
  listen(): void
  post(message: TabMessage): void
  close(): void
}

export function createTabs(core: Core, open: (receive: (message: unknown) => void) => Channel): Tabs {
  let channel: Channel | null = null
  let closed = false

  function receive(received: unknown): void {
    const message = received as TabMessage
    if (message.type !== "account" && message.userId !== core.me()) return
    // A `seq` of another generation may be another message's.
    if (message.type === "read" && message.store !== core.store()) return
    core.events.emit("tab", message)
  }

  return {
    listen() {
      if (!closed) channel ??= open(receive)
    },
    post: (message) => channel?.post(message),
    close() {
      closed = true
      channel?.close()
      channel = null
    },
  }
}
