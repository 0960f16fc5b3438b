import { words } from "../strings"
import { Button } from "../ui/Button"
import { State } from "../ui/State"

/** The middle room while no conversation is chosen. */
export function NoThread({ onFind }: { onFind: () => void }) {
  return (
    <State
      kind="empty"
      size="page"
      title={words.thread.none}
      lead={words.thread.noneLead}
      action={
        <Button look="line" onClick={onFind}>
          {words.list.emptyAction}
        </Button>
      }
    />
  )
}
