import type { ConversationHandle } from "@lamplight/client"

/** The fields that are on the page, by conversation, and how each takes text. */
const fields = new Map<string, (text: string) => void>()

/** Lets a field take what is put back, even while somebody writes in it. Call what it returns when it goes. */
export function takeBack(conversationId: string, take: (text: string) => void): () => void {
  fields.set(conversationId, take)
  return () => {
    if (fields.get(conversationId) === take) fields.delete(conversationId)
  }
}

/** Puts text where it can be sent again: before what is being written, of which nothing is lost. */
export function putBack(handle: ConversationHandle, text: string): void {
  const take = fields.get(handle.id)
  if (take) take(text)
  else handle.setDraft(above(text, handle.draft.get()))
}

export function above(text: string, rest: string): string {
  return [text, rest].filter(Boolean).join("\n")
}
