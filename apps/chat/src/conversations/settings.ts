import type { Lamplight, SettingsChange } from "@lamplight/client"
import { words } from "../strings"
import { showFailure } from "../ui/failure"

/** Muted until it is turned back on. */
export const FOREVER = "9999-12-31T00:00:00.000Z"

/** Changes what the user has set for a conversation, and says so if it is refused. */
export async function setConversation(client: Lamplight, id: string, change: SettingsChange): Promise<void> {
  const result = await client.conversation(id).setSettings(change)
  if (!result.ok) showFailure(words.settings.failed, result.error)
}
