import { X } from "lucide-react"
import { AlertDialog, Dialog } from "radix-ui"
import { type ReactNode, useState } from "react"
import { useLayer } from "../app/layers"
import { words } from "../strings"
import { Button, IconButton } from "./Button"
import { groupReason } from "./failure"

/** The element that had the focus when a dialog opened takes it back, or else what stands in for it. */
export interface FocusReturn {
  opener: HTMLElement | null
  /** Focuses something nearby if the opener is gone. */
  otherwise: () => void
}

function giveBack({ opener, otherwise }: FocusReturn) {
  return (event: Event) => {
    event.preventDefault()
    if (opener?.isConnected) opener.focus()
    else otherwise()
  }
}

/** A dialog with a title and a button that closes it. It is mounted while it is open. */
export function Modal(props: {
  title: string
  lead?: string
  testId: string
  focus: FocusReturn
  /** Whether it takes more space, in a window that has it. */
  wide?: boolean
  children: ReactNode
  onClose: () => void
}) {
  const { title, lead, testId, focus, wide = false, children, onClose } = props
  useLayer(onClose)
  return (
    <Dialog.Root open onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className="dialog-overlay" />
        <Dialog.Content
          className="dialog dialog-over"
          data-wide={wide ? "" : undefined}
          data-testid={testId}
          onCloseAutoFocus={giveBack(focus)}
          {...(lead === undefined && { "aria-describedby": undefined })}
        >
          <div className="dialog-body dialog-column">
            <div className="dialog-head">
              <Dialog.Title className="sign-in-heading">{title}</Dialog.Title>
              <Dialog.Close asChild>
                <IconButton label={words.account.close}>
                  <X size={20} aria-hidden="true" />
                </IconButton>
              </Dialog.Close>
            </div>
            {lead !== undefined && <Dialog.Description className="dialog-lead">{lead}</Dialog.Description>}
            {children}
          </div>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

/** Asks before something that cannot be taken back. It stays open while it is done, and says if it fails. */
export function Confirm(props: {
  title: string
  lead: string
  confirm: string
  focus: FocusReturn
  onConfirm: () => Promise<void>
  onClose: () => void
}) {
  const { title, lead, confirm, focus, onConfirm, onClose } = props
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  useLayer(() => busy || onClose())

  async function run() {
    setBusy(true)
    setProblem(null)
    try {
      await onConfirm()
      onClose()
    } catch (thrown) {
      setProblem(groupReason(thrown))
      setBusy(false)
    }
  }

  return (
    <AlertDialog.Root open onOpenChange={(open) => !open && !busy && onClose()}>
      <AlertDialog.Portal>
        <AlertDialog.Overlay className="dialog-overlay" />
        <AlertDialog.Content
          className="dialog dialog-over"
          data-testid="confirm-dialog"
          onCloseAutoFocus={giveBack(focus)}
        >
          <div className="dialog-body">
            <AlertDialog.Title className="sign-in-heading">{title}</AlertDialog.Title>
            <AlertDialog.Description className="dialog-lead">{lead}</AlertDialog.Description>
            <div role="alert" className={problem ? "sign-in-problem" : "sr-only"}>
              {problem}
            </div>
            <div className="dialog-choice">
              <AlertDialog.Cancel asChild>
                <Button look="line">{words.message.cancel}</Button>
              </AlertDialog.Cancel>
              <Button
                look="primary"
                data-testid="confirm"
                aria-disabled={busy}
                onClick={() => {
                  if (!busy) void run()
                }}
              >
                {busy ? words.signIn.busy : confirm}
              </Button>
            </div>
          </div>
        </AlertDialog.Content>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  )
}
