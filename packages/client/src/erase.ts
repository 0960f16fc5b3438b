/**
 * Erases everything that this device has stored for a user whose account is deleted. Loaded on
 * demand.
 */
import type { Core } from "./core.js"

/** Removes unsent data: messages and their files, drafts, read marks, conversation settings. Ignores storage failures. */
export async function erase(
  core: Core,
  userId: string,
  files: (userId: string) => Promise<void>,
): Promise<void> {
  const stored = await core.storage("outbox", userId)
  const names = ["drafts", "marks", "settings"].map((name) => `${name}:${core.scope}:${userId}`)
  await Promise.all([
    ...(stored?.value ?? []).map(({ clientMessageId }) => core.storage("deleteOutbox", clientMessageId)),
    // Under the lock that writers of uploads hold.
    ...names.map((name) => core.withLock(`lamplight:${name}`, () => core.storage("set", name, undefined))),
    files(userId),
  ]).catch(() => {})
}
