/** The conversations that were opened last in this tab, the last one first. */
const KEY = "lamplight:opened"
const MOST = 20

let opened: readonly string[] | null = null

function read(): string[] {
  try {
    const value: unknown = JSON.parse(sessionStorage.getItem(KEY) ?? "[]")
    return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : []
  } catch {
    return []
  }
}

export function recentConversations(): readonly string[] {
  opened ??= read()
  return opened
}

/** Puts a conversation first. */
export function rememberOpened(conversationId: string): void {
  const before = recentConversations()
  if (before[0] === conversationId) return
  opened = [conversationId, ...before.filter((id) => id !== conversationId)].slice(0, MOST)
  try {
    sessionStorage.setItem(KEY, JSON.stringify(opened))
  } catch {
    // Without storage they last as long as the page.
  }
}

/** The user signed out: clears the list for the next one. */
export function forgetOpened(): void {
  opened = []
  try {
    sessionStorage.removeItem(KEY)
  } catch {
    // Nothing was stored.
  }
}
