/** What the user sets for conversations: muted, archived, pinned. Everything else about it is loaded with the first change. */
import { delayAfter } from "./backoff.js"
import type { Core } from "./core.js"
import { toError } from "./errors.js"
import { createSavedMap } from "./saved-map.js"
import type { SettingsWriter } from "./settings-writer.js"
import type { SettingsChange, WriteResult } from "./types.js"
import type { Conversation } from "./wire.js"

export interface Settings {
  /** The conversation as it is once the server has what is not sent yet. */
  applied(conversation: Conversation): Conversation
  /** Resolves when the server has answered. */
  change(id: string, change: SettingsChange): Promise<WriteResult>
}

/** `answered` receives each conversation as the server has it after a change. */
export function createSettings(core: Core, answered: (conversation: Conversation) => void): Settings {
  const { map: queues, save, load } = createSavedMap<SettingsChange[]>(core, "settings")
  let applied = (conversation: Conversation) => conversation

  async function writer(): Promise<SettingsWriter> {
    const { settingsWriter } = await import("./settings-writer.js")
    const made = settingsWriter(core, { queues, save, answered, delayAfter, toError })
    applied = made.applied
    return made
  }

  core.events.on("reset", () => queues.clear())
  core.events.on("signedIn", () => {
    void load((id, changes) => {
      if (!queues.has(id)) queues.set(id, changes)
    }).then(() => {
      if (queues.size) void writer().then(({ flush }) => flush(), toError)
    })
  })

  return {
    applied: (conversation) => applied(conversation),
    change: (id, change) =>
      writer().then(
        (writer) => writer.change(id, change),
        (thrown) => ({ ok: false, error: toError(thrown) }),
      ),
  }
}
