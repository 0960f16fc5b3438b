import type { ConversationHandle } from "@lamplight/client"

/** The fields on the page, by conversation, and how each takes text. */
const fields = new Map<string, (text: string) => void>()

/**
 * Registers a field that can take text back, even while the user writes in it. Returns what unregisters it.
 */
export function takeBack(conversationId: string, take: (text: string) => void): () => void {
  fields.set(conversationId, take)
  return () => {
    if (fields.get(conversationId) === take) fields.delete(conversationId)
  }
}

/** Returns text to a field where it can be sent again, before the text that is being written. */
export function returnText(handle: ConversationHandle, text: string): void {
  const take = fields.get(handle.id)
  if (take) take(text)
  else handle.setDraft(above(text, handle.draft.get()))
}

export function above(text: string, rest: string): string {
  return [text, rest].filter(Boolean).join("\n")
}
