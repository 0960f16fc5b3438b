import { ArrowDown, ArrowUp, X } from "lucide-react"
import { words } from "../strings"
import { Button, IconButton } from "../ui/Button"

/** Over the upper edge of the log: the button to the first unread message, or the loading notice. */
export function AboveLog(props: {
  /** How many unread messages are out of view; 0 if there is no button. */
  unread: number
  loading: boolean
  failed: boolean
  onLead: () => void
  onMarkAllRead: () => void
  onRetry: () => void
}) {
  const { unread, loading, failed, onLead, onMarkAllRead, onRetry } = props
  return (
    <>
      {unread > 0 && !loading && (
        <div className="log-overlay" data-at="top">
          <span className="pill">
            <button
              type="button"
              className="inline-flex items-center gap-1.5"
              data-testid="to-unread"
              aria-label={words.thread.toUnread(unread)}
              onClick={onLead}
            >
              <ArrowUp size={16} aria-hidden="true" />
              <span aria-hidden="true">{words.thread.above(unread)}</span>
            </button>
            <IconButton
              label={words.thread.markAllRead}
              className="-my-1 -me-2.5 size-7"
              onClick={onMarkAllRead}
            >
              <X size={14} aria-hidden="true" />
            </IconButton>
          </span>
        </div>
      )}
      {loading && (
        <div className="log-overlay" data-at="top" role="status">
          <span className="pill older">{words.thread.older}</span>
        </div>
      )}
      {failed && (
        <div className="log-overlay" data-at="top">
          <Button look="line" onClick={onRetry}>
            {words.thread.olderFailed} {words.thread.retry}
          </Button>
        </div>
      )}
    </>
  )
}

/** Over the lower edge: the button to the newest message, with the number of new ones. */
export function BelowLog(props: {
  atEnd: boolean
  unseen: number
  failed: boolean
  onRetry: () => void
  onEnd: () => void
}) {
  const { atEnd, unseen, failed, onRetry, onEnd } = props
  if (atEnd) return null
  return (
    <div className="log-overlay" data-at="bottom">
      {failed ? (
        <Button look="line" onClick={onRetry}>
          {words.thread.newerFailed} {words.thread.retry}
        </Button>
      ) : (
        <button
          type="button"
          className="pill"
          data-new={unseen > 0 ? "" : undefined}
          data-testid="to-end"
          aria-label={unseen > 0 ? words.thread.newer(unseen) : words.thread.toEnd}
          onClick={onEnd}
        >
          {unseen > 0 && <span aria-hidden="true">{words.thread.newer(unseen)}</span>}
          <ArrowDown size={16} aria-hidden="true" />
        </button>
      )}
    </div>
  )
}
