import type {
  ConnectionState,
  ConversationsState,
  Lamplight,
  MeState,
  Outbox,
  OutboxState,
  RestoredState,
  UnreadState,
} from "@lamplight/client"
import { useLamplight, useStore } from "./provider.js"

/** The state of the line. */
export function useConnection(): ConnectionState {
  return useStore(useLamplight().connection)
}

/** Who is signed in, and the status they chose. */
export function useMe(): MeState {
  return useStore(useLamplight().me)
}

/** One's own account on a server that keeps accounts (`AUTH=local`): what can be changed of it, and the ways out. */
export function useAccount(): MeState &
  Pick<Lamplight, "updateAccount" | "changePassword" | "logout" | "logoutEverywhere"> {
  const { updateAccount, changePassword, logout, logoutEverywhere } = useLamplight()
  return { ...useMe(), updateAccount, changePassword, logout, logoutEverywhere }
}

/** The list of conversations, newest entry first, and the way to more of it. */
export function useConversations(): ConversationsState & {
  loadMore(): Promise<void>
  reload(): Promise<void>
} {
  const client = useLamplight()
  return {
    ...useStore(client.conversations),
    loadMore: client.loadMoreConversations,
    reload: client.reloadConversations,
  }
}

/** How much is unread: in all, and by conversation. */
export function useUnread(): UnreadState {
  return useStore(useLamplight().unread)
}

/** What is unsent, and what can be done about it. */
export function useOutbox(): OutboxState & Pick<Outbox, "retry" | "edit" | "discard"> {
  const { outbox } = useLamplight()
  return { ...useStore(outbox), retry: outbox.retry, edit: outbox.edit, discard: outbox.discard }
}

/** Whether the server's data went back in time, as a restored backup does, and the way to say that the person knows. */
export function useRestored(): RestoredState & { dismiss(): void } {
  const client = useLamplight()
  return { ...useStore(client.restored), dismiss: client.dismissRestored }
}
