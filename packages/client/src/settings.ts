/**
 * The user's settings of conversations: muted, archived, pinned. The code that changes them is loaded with the first
 * change.
 */
import { delayAfter } from "./backoff.js"
import { refusal } from "./content.js"
import type { Core } from "./core.js"
import { toError } from "./errors.js"
import type { SettingsWriter } from "./settings-writer.js"
import type { SettingsChange, WriteResult } from "./types.js"
import type { Conversation } from "./wire.js"

export interface Settings {
  /** The conversation with its unsent settings applied. */
  applied(conversation: Conversation): Conversation
  /** Resolves when the server has answered. */
  change(id: string, change: SettingsChange): Promise<WriteResult>
}

/** `answered` receives each conversation as the server has it after a change. */
export function createSettings(core: Core, answered: (conversation: Conversation) => void): Settings {
  let made: SettingsWriter | undefined

  async function writer(): Promise<SettingsWriter> {
    const { createSettingsWriter } = await import("./settings-writer.js")
    made ??= createSettingsWriter(core, { answered, delayAfter, refusal, toError })
    return made
  }

  core.events.on("signedIn", async () => {
    // Changes that earlier pages and other tabs of this user have not sent.
    if ((await core.storage("get", `settings:${core.scope}:${core.me()}`))?.value)
      writer().then(({ load }) => load(), toError)
  })

  return {
    applied: (conversation) => made?.applied(conversation) ?? conversation,
    change: (id, change) =>
      writer().then(
        (writer) => writer.change(id, change),
        (thrown) => ({ ok: false, error: toError(thrown) }),
      ),
  }
}
