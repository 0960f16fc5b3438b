import type {
  ConversationHandle,
  ConversationInfo,
  MessagesState,
  ReadersState,
  TypingState,
} from "@lamplight/client"
import { useEffect, useSyncExternalStore } from "react"
import { useLamplight, useStore } from "./provider.js"

/** What `useConversation` gives: the state of a thread, and what can be done in it. */
export interface ConversationView
  extends Pick<
    ConversationHandle,
    | "id"
    | "send"
    | "loadOlder"
    | "loadNewer"
    | "jumpTo"
    | "jumpToNewest"
    | "stay"
    | "reload"
    | "setTyping"
    | "setDraft"
    | "markRead"
  > {
  /** What the list knows of it; null while it knows nothing. */
  item: ConversationInfo | null
  messages: MessagesState
}

/**
 * The conversation that the person is looking at: it is open while mounted. Draft, typing and read receipts change often
 * and have hooks of their own, so that a keystroke does not render the thread.
 */
export function useConversation(id: string): ConversationView {
  const handle = useLamplight().conversation(id)
  useEffect(() => handle.open(), [handle])
  return {
    id,
    item: useStore(handle.item),
    messages: useStore(handle.messages),
    send: handle.send,
    loadOlder: handle.loadOlder,
    loadNewer: handle.loadNewer,
    jumpTo: handle.jumpTo,
    jumpToNewest: handle.jumpToNewest,
    stay: handle.stay,
    reload: handle.reload,
    setTyping: handle.setTyping,
    setDraft: handle.setDraft,
    markRead: handle.markRead,
  }
}

/** The messages of a conversation, without opening it. */
export function useMessages(id: string): MessagesState {
  return useStore(useLamplight().conversation(id).messages)
}

/** Who is typing in it. */
export function useTyping(id: string): TypingState {
  return useStore(useLamplight().conversation(id).typing)
}

/** The text in its composer, kept over switches and reloads, and the way to change it. */
export function useDraft(id: string): [draft: string, setDraft: (text: string) => void] {
  const handle = useLamplight().conversation(id)
  // Not paced: a field that shows it must have each letter at once.
  const { subscribe, get, getServer } = handle.draft
  return [useSyncExternalStore(subscribe, get, getServer), handle.setDraft]
}

/** How far the others got. */
export function useReaders(id: string): ReadersState {
  return useStore(useLamplight().conversation(id).readers)
}
