import type {
  ConversationHandle,
  ConversationInfo,
  MessagesState,
  ReadersState,
  TypingState,
} from "@lamplight/client"
import { useEffect, useSyncExternalStore } from "react"
import { useLamplight, useStore } from "./provider.js"

/** The result of `useConversation`: the state of a thread and the actions on it. */
export interface ConversationView
  extends Pick<
    ConversationHandle,
    | "id"
    | "send"
    | "edit"
    | "remove"
    | "react"
    | "pin"
    | "loadOlder"
    | "loadNewer"
    | "jumpTo"
    | "jumpToNewest"
    | "seqAt"
    | "pinned"
    | "stay"
    | "reload"
    | "setTyping"
    | "setDraft"
    | "setSettings"
    | "markRead"
  > {
  /** The conversation as the list knows it; null while it does not. */
  item: ConversationInfo | null
  messages: MessagesState
}

/**
 * The conversation on the screen: it is open while the component is mounted. Draft, typing and read receipts
 * change often and have hooks of their own, so that a keystroke does not render the thread.
 */
export function useConversation(id: string): ConversationView {
  const handle = useLamplight().conversation(id)
  useEffect(() => handle.open(), [handle])
  return {
    id,
    item: useStore(handle.item),
    messages: useStore(handle.messages),
    send: handle.send,
    edit: handle.edit,
    remove: handle.remove,
    react: handle.react,
    pin: handle.pin,
    loadOlder: handle.loadOlder,
    loadNewer: handle.loadNewer,
    jumpTo: handle.jumpTo,
    jumpToNewest: handle.jumpToNewest,
    seqAt: handle.seqAt,
    pinned: handle.pinned,
    stay: handle.stay,
    reload: handle.reload,
    setTyping: handle.setTyping,
    setDraft: handle.setDraft,
    setSettings: handle.setSettings,
    markRead: handle.markRead,
  }
}

/**
 * Marks a conversation as read up to its newest message in `messages.rows`, while the component is mounted and the page visible.
 * Mount it with the thread, or pass `false` while the user cannot see the newest message. A message that arrives while the page is in
 * the background is read when the user comes back. Only this hook and `markRead()` lower `unread`.
 */
export function useMarkRead(id: string, isShown = true): void {
  const handle = useLamplight().conversation(id)
  useEffect(() => {
    if (!isShown) return undefined
    const read = () => {
      if (document.visibilityState === "visible") handle.markRead()
    }
    read()
    const unsubscribe = handle.messages.subscribe(read)
    document.addEventListener("visibilitychange", read)
    return () => {
      unsubscribe()
      document.removeEventListener("visibilitychange", read)
    }
  }, [handle, isShown])
}

/** The messages of a conversation, with their reactions, replies and states, without opening it. */
export function useMessages(id: string): MessagesState {
  return useStore(useLamplight().conversation(id).messages)
}

/** The users who are typing in it. */
export function useTyping(id: string): TypingState {
  return useStore(useLamplight().conversation(id).typing)
}

/** The text in the composer, which survives switches and reloads, and its setter. */
export function useDraft(id: string): [draft: string, setDraft: (text: string) => void] {
  const handle = useLamplight().conversation(id)
  // Not paced, since a field must show each letter at once.
  const { subscribe, get, getServer } = handle.draft
  return [useSyncExternalStore(subscribe, get, getServer), handle.setDraft]
}

/** How far the others have received and read. */
export function useReaders(id: string): ReadersState {
  return useStore(useLamplight().conversation(id).readers)
}
