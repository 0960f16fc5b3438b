"use client"
/** `@lamplight/react`: thin hooks over `@lamplight/client`. State lives in the client, and a hook reads one store; `useSearch` stores its own hits. */
export {
  useAccount,
  useConnection,
  useConversations,
  useMe,
  useOutbox,
  useRestored,
  useUnread,
} from "./app.js"
export type { ConversationView } from "./conversation.js"
export { useConversation, useDraft, useMarkRead, useMessages, useReaders, useTyping } from "./conversation.js"
export { useConversationFiles, useFileProgress, useFileUrl, useUpload, useUploads } from "./files.js"
export { useBlocks, useMembers } from "./groups.js"
export type { LamplightProviderProps } from "./provider.js"
export { LamplightProvider, useLamplight, useStore } from "./provider.js"
export { usePresence, usePresences, useRoster } from "./roster.js"
export type { SearchFilter, SearchView } from "./search.js"
export { useSearch } from "./search.js"
