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

/** The state of the connection. */
export function useConnection(): ConnectionState {
  return useStore(useLamplight().connection)
}

/** The signed-in user and their status. */
export function useMe(): MeState {
  return useStore(useLamplight().me)
}

/**
 * The user's account on a server with accounts (`AUTH=local`), with the actions that change it and sign out.
 */
export function useAccount(): MeState &
  Pick<Lamplight, "updateAccount" | "changePassword" | "deleteAccount" | "logout" | "logoutEverywhere"> {
  const { updateAccount, changePassword, deleteAccount, logout, logoutEverywhere } = useLamplight()
  return { ...useMe(), updateAccount, changePassword, deleteAccount, logout, logoutEverywhere }
}

/** The list of conversations, pinned ones first and archived ones separately, and the actions to load more of it. */
export function useConversations(): ConversationsState & {
  loadMore(): Promise<void>
  loadArchived: Lamplight["loadArchivedConversations"]
  reload(): Promise<void>
} {
  const client = useLamplight()
  return {
    ...useStore(client.conversations),
    loadMore: client.loadMoreConversations,
    loadArchived: client.loadArchivedConversations,
    reload: client.reloadConversations,
  }
}

/** The number of unread messages, in total and by conversation. */
export function useUnread(): UnreadState {
  return useStore(useLamplight().unread)
}

/** The unsent messages and the actions on them. */
export function useOutbox(): OutboxState & Pick<Outbox, "retry" | "edit" | "discard"> {
  const { outbox } = useLamplight()
  return { ...useStore(outbox), retry: outbox.retry, edit: outbox.edit, discard: outbox.discard }
}

/**
 * Whether the server lost data, for example because a backup was restored, and `dismiss` for when the
 * user has read the notice.
 */
export function useRestored(): RestoredState & { dismiss(): void } {
  const client = useLamplight()
  return { ...useStore(client.restored), dismiss: client.dismissRestored }
}
