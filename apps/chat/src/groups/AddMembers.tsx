import type { Member, User } from "@lamplight/client"
import { useCallback, useState } from "react"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { groupReason } from "../ui/failure"
import { type FocusReturn, Modal } from "../ui/Modal"
import { PeoplePicker } from "./PeoplePicker"
import { usePicker } from "./usePicker"

/** The dialog to choose people and add them to a group. */
export function AddMembers(props: {
  conversationId: string
  self: User
  present: readonly Member[]
  focus: FocusReturn
  onAdd: (userIds: readonly string[]) => Promise<void>
  onClose: () => void
}) {
  const { self, present, focus, onAdd, onClose } = props
  const isPresent = useCallback((id: string) => present.some((member) => member.id === id), [present])
  const picker = usePicker(self.id, isPresent)
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)

  async function add() {
    if (busy || !picker.chosen.length) return
    setBusy(true)
    setProblem(null)
    try {
      await onAdd(picker.chosen.map(({ id }) => id))
      onClose()
    } catch (thrown) {
      setProblem(groupReason(thrown))
      setBusy(false)
    }
  }

  return (
    <Modal
      title={words.groups.addTitle}
      lead={words.groups.addLead}
      testId="add-dialog"
      focus={focus}
      onClose={onClose}
    >
      <PeoplePicker picker={picker} label={words.groups.people} />
      <div role="alert" className={problem ? "sign-in-problem" : "sr-only"}>
        {problem}
      </div>
      <div className="dialog-choice">
        <Button
          look="primary"
          data-testid="add-confirm"
          aria-disabled={busy || !picker.chosen.length}
          onClick={() => void add()}
        >
          {busy ? words.signIn.busy : words.groups.add(picker.chosen.length)}
        </Button>
      </div>
    </Modal>
  )
}
