import { words } from "../strings"
import { Button } from "../ui/Button"
import { State } from "../ui/State"

/** The thread panel while no conversation is selected. */
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
