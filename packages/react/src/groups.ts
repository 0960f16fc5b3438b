import type { Blocks, BlocksState, Members, MembersState } from "@lamplight/client"
import { useLamplight, useStore } from "./provider.js"

/** The actions on the members of a conversation. */
type MemberActions = Pick<Members, "loadMore" | "reload" | "add" | "remove" | "setRole" | "leave">

/** The members of a conversation, in the order of their ids, and the actions on them. Loaded and up to date while mounted. */
export function useMembers(conversationId: string): MembersState & MemberActions {
  const store = useLamplight().members(conversationId)
  const { loadMore, reload, add, remove, setRole, leave } = store
  return { ...useStore(store), loadMore, reload, add, remove, setRole, leave }
}

/** The blocked users, by name, and the actions to block and unblock. Loaded while mounted. */
export function useBlocks(): BlocksState & Pick<Blocks, "block" | "unblock" | "reload"> {
  const { blocks } = useLamplight()
  return { ...useStore(blocks), block: blocks.block, unblock: blocks.unblock, reload: blocks.reload }
}
