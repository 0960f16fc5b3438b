/**
 * Erases everything that this device has stored for a user whose account is deleted. Loaded on
 * demand.
 */
import type { Core } from "./core.js"

/** Removes what is unsent: messages and their files, drafts, read marks, settings of conversations. Failures of the storage stay silent. */
export async function erase(
  core: Core,
  userId: string,
  files: (userId: string) => Promise<void>,
): Promise<void> {
  const stored = await core.storage("outbox", userId)
  const names = ["drafts", "marks", "settings"].map((name) => `${name}:${core.scope}:${userId}`)
  await Promise.all([
    ...(stored?.value ?? []).map(({ clientMessageId }) => core.storage("deleteOutbox", clientMessageId)),
    // Under the lock of those that write them.
    ...names.map((name) => core.withLock(`lamplight:${name}`, () => core.storage("set", name, undefined))),
    files(userId),
  ]).catch(() => {})
}
