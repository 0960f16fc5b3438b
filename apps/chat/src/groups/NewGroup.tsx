import type { User } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { type FormEvent, useId, useRef, useState } from "react"
import { MAX_GROUP_NAME } from "../details/GroupName"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { groupReason } from "../ui/failure"
import { type FocusReturn, Modal } from "../ui/Modal"
import { PeoplePicker } from "./PeoplePicker"
import { usePicker } from "./usePicker"

const isNoMember = () => false

/** The dialog to create a group: its name and members. */
export function NewGroup(props: {
  self: User
  focus: FocusReturn
  onMade: (conversationId: string) => void
  onClose: () => void
}) {
  const { self, focus, onMade, onClose } = props
  const { createGroup } = useLamplight()
  const picker = usePicker(self.id, isNoMember)
  const [name, setName] = useState("")
  const [history, setHistory] = useState<"joined" | "all">("joined")
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  /** The same group again, after an error, has the same id: it is made once. */
  const last = useRef({ of: "", id: "" })
  const nameId = useId()

  async function create(event: FormEvent) {
    event.preventDefault()
    if (busy || !picker.chosen.length) return
    setBusy(true)
    setProblem(null)
    const group = {
      memberIds: picker.chosen.map(({ id }) => id),
      name: name.trim() || undefined,
      history,
    }
    const of = JSON.stringify(group)
    if (last.current.of !== of) last.current = { of, id: newId() }
    try {
      const { id } = await createGroup({ ...group, clientConversationId: last.current.id })
      onMade(id)
    } catch (thrown) {
      setProblem(groupReason(thrown))
      setBusy(false)
    }
  }

  return (
    <Modal title={words.groups.newTitle} testId="group-dialog" focus={focus} onClose={onClose}>
      <form className="dialog-column" onSubmit={(event) => void create(event)}>
        <div className="group-name-field">
          <label className="set-label" htmlFor={nameId}>
            {words.groups.name}
          </label>
          <input
            id={nameId}
            className="field"
            data-testid="group-name"
            placeholder={words.groups.namePlaceholder}
            autoComplete="off"
            dir="auto"
            maxLength={MAX_GROUP_NAME}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </div>
        <PeoplePicker picker={picker} label={words.groups.people} />
        <label className="group-history">
          <span>
            {words.groups.history}
            <span className="menu-hint block">{words.groups.historyHint}</span>
          </span>
          <input
            type="checkbox"
            className="switch"
            data-testid="group-history"
            checked={history === "all"}
            onChange={(event) => setHistory(event.target.checked ? "all" : "joined")}
          />
        </label>
        <div role="alert" className={problem ? "sign-in-problem" : "sr-only"}>
          {problem}
        </div>
        <div className="dialog-choice">
          <Button
            type="submit"
            look="primary"
            data-testid="group-create"
            aria-disabled={busy || !picker.chosen.length}
          >
            {busy ? words.signIn.busy : words.groups.create(picker.chosen.length)}
          </Button>
        </div>
      </form>
    </Modal>
  )
}

/** Pages without TLS have no `randomUUID`. */
const newId = (): string =>
  crypto.randomUUID?.() ?? Array.from(crypto.getRandomValues(new Uint32Array(4)), String).join("-")
