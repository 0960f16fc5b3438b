import type { ConversationInfo, MessageRow } from "@lamplight/client"
import { useBlocks, useLamplight } from "@lamplight/react"
import { Ban } from "lucide-react"
import { useEffect, useLayoutEffect } from "react"
import { focusThread } from "../app/regions"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { showFailure } from "../ui/failure"

/** Why nothing can be written: the account is gone, the user has blocked the other, or the server refused. */
type Why = { deleted: true } | { blocked: string } | { refused: readonly string[] }

/** Null: the user can write. */
export function useNoWriting(item: ConversationInfo | null, rows: readonly MessageRow[]): Why | null {
  const { users, reload } = useBlocks()
  const other = item?.other
  const refused = rows.flatMap(({ state, error, clientMessageId }) =>
    state === "failed" && error?.code === "forbidden" && clientMessageId !== null ? [clientMessageId] : [],
  )
  const isRefused = refused.length > 0
  // The block may be the user's own, made on another device.
  useEffect(() => {
    if (isRefused) reload().catch(() => {})
  }, [isRefused, reload])
  if (!other) return null
  if (other.deleted) return { deleted: true }
  if (users.some(({ id }) => id === other.id)) return { blocked: other.id }
  return isRefused ? { refused } : null
}

/** In place of the composer. Only who has blocked can end that; the other may try again. */
export function NoWriting({ why }: { why: Why }) {
  const { blocks, outbox } = useLamplight()
  // The field that it takes the place of may have the focus, which would be lost with it.
  useLayoutEffect(() => {
    if (document.activeElement?.closest(".composer")) focusThread()
  }, [])
  return (
    <div className="no-writing" role="status" data-testid="no-writing">
      <Ban size={18} aria-hidden="true" />
      <span>{"deleted" in why ? words.thread.noWritingDeleted : words.thread.noWriting}</span>
      {"deleted" in why ? null : "blocked" in why ? (
        <Button
          look="text"
          data-testid="composer-unblock"
          onClick={() =>
            blocks
              .unblock(why.blocked)
              .then(focusThread, (thrown) => showFailure(words.details.unblockFailed, thrown))
          }
        >
          {words.thread.unblock}
        </Button>
      ) : (
        <Button
          look="text"
          data-testid="composer-again"
          onClick={() => {
            for (const id of why.refused) outbox.retry(id)
            focusThread()
          }}
        >
          {words.thread.tryAgain}
        </Button>
      )}
    </div>
  )
}
