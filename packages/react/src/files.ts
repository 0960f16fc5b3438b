import type {
  ConversationFiles,
  ConversationFilesState,
  FileKind,
  FileProgress,
  SharedFile,
  Upload,
  Uploads,
} from "@lamplight/client"
import { useMemo, useSyncExternalStore } from "react"
import { pacedSubscribe } from "./pace.js"
import { useLamplight, useStore } from "./provider.js"

/** The actions on uploads. */
type UploadActions = Pick<Uploads, "add" | "pause" | "resume" | "cancel">

/**
 * The uploads of a conversation that no message has yet, in order, for its composer. Pass them to `send` as `uploads`. `add`
 * takes the conversation's id and a file.
 */
export function useUploads(conversationId: string): UploadActions & { uploads: readonly Upload[] } {
  const { uploads } = useLamplight()
  const all = useStore(uploads)
  const { add, pause, resume, cancel } = uploads
  return useMemo(() => {
    const own = all.filter((one) => one.conversationId === conversationId && one.clientMessageId === null)
    return { uploads: own, add, pause, resume, cancel }
  }, [all, conversationId, add, pause, resume, cancel])
}

/**
 * One upload, for a row of `row.files`; null once it has ended, or if this tab does not have it. The progress of other uploads does not
 * render it.
 */
export function useUpload(uploadId: string): Upload | null {
  const { uploads } = useLamplight()
  const find = (all: readonly Upload[]) => all.find(({ id }) => id === uploadId) ?? null
  return useSyncExternalStore(
    pacedSubscribe(uploads),
    () => find(uploads.get()),
    () => find(uploads.getServer()),
  )
}

/** The files that other members are uploading to a conversation now, with their progress and, for a moment, their end. */
export function useFileProgress(conversationId: string): readonly FileProgress[] {
  const all = useStore(useLamplight().sharing)
  return useMemo(() => all.filter((one) => one.conversationId === conversationId), [all, conversationId])
}

/** The address of a file, or of its thumbnail, for `src` and `href`; null until it is known. It is kept valid while mounted. */
export function useFileUrl(file: SharedFile, which?: "file" | "thumbnail"): string | null {
  const client = useLamplight()
  const { id, url, thumbnailUrl } = file
  const store = useMemo(
    () => client.fileUrl({ id, url, thumbnailUrl } as SharedFile, which),
    [client, id, url, thumbnailUrl, which],
  )
  return useStore(store)
}

/**
 * The files of a conversation's messages, of these kinds or all, newest message first. Loaded and up to date while mounted; `loadMore`
 * loads the next page.
 */
export function useConversationFiles(
  conversationId: string,
  ...kinds: FileKind[]
): ConversationFilesState & Pick<ConversationFiles, "loadMore" | "reload"> {
  const store = useLamplight().files(conversationId, ...kinds)
  const { loadMore, reload } = store
  return { ...useStore(store), loadMore, reload }
}
