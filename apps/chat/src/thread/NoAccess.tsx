import type { MessageRow } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { goBack } from "../app/route"
import { describeFiles } from "../files/layout"
import { plainText } from "../logic/plain"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { copyText } from "../ui/clipboard"
import { showFailure } from "../ui/failure"
import { State } from "../ui/State"
import { toast } from "../ui/toast"

/** Replaces a conversation that the user may not see, or no longer. Unsent messages can be copied. */
export function NoAccess(props: { rows: readonly MessageRow[]; isRemoved: boolean; name: string }) {
  const { rows, isRemoved, name } = props
  const failed = rows.filter(({ state }) => state === "failed")
  return (
    <div className="no-access" data-testid={isRemoved ? "removed" : "denied"}>
      <State
        kind="denied"
        size="page"
        title={isRemoved ? words.thread.removed : words.thread.missing}
        lead={isRemoved ? words.thread.removedLead(name) : words.thread.missingLead}
        action={
          <Button look="line" onClick={goBack}>
            {words.thread.missingAction}
          </Button>
        }
      />
      {failed.length > 0 && (
        <section className="no-access-unsent" aria-label={words.thread.unsent(failed.length)}>
          <h2 className="rows-title">{words.thread.unsent(failed.length)}</h2>
          <ul>
            {failed.map((row) => (
              <Unsent key={row.key} row={row} />
            ))}
          </ul>
        </section>
      )}
    </div>
  )
}

function Unsent({ row }: { row: MessageRow }) {
  const { outbox } = useLamplight()
  const id = row.clientMessageId
  async function copy() {
    try {
      await copyText(row.content)
      toast(words.message.copied)
    } catch (thrown) {
      showFailure(words.message.copyFailed, thrown)
    }
  }
  return (
    <li data-testid="unsent">
      <p className="no-access-text" dir="auto">
        {plainText(row.content) || describeFiles(row.files)}
      </p>
      <span className="message-actions">
        {row.content && (
          <Button look="text" data-testid="copy" onClick={() => void copy()}>
            {words.message.copy}
          </Button>
        )}
        {id !== null && (
          <Button look="text" data-testid="delete" onClick={() => void outbox.discard(id)}>
            {words.message.remove}
          </Button>
        )}
      </span>
    </li>
  )
}
