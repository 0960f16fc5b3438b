import type { MessageRow } from "@lamplight/client"
import { useEffect, useId, useRef } from "react"
import { useLayer } from "../app/layers"
import { describeFiles } from "../files/layout"
import { plainStart } from "../logic/plain"
import { words } from "../strings"
import { Button } from "../ui/Button"

/** Asks before a message is deleted for everyone. */
export function DeleteDialog(props: { row: MessageRow; onDelete: () => void; onClose: () => void }) {
  const { row, onDelete, onClose } = props
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useLayer(onClose)
  useEffect(() => {
    dialog.current?.showModal()
  }, [])
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it by itself
    <dialog
      ref={dialog}
      className="dialog"
      data-testid="delete-dialog"
      aria-labelledby={`${id}-title`}
      aria-describedby={`${id}-lead`}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === dialog.current) dialog.current?.close()
      }}
    >
      <div className="dialog-body">
        <h2 id={`${id}-title`} className="sign-in-heading">
          {words.message.deleteTitle}
        </h2>
        <p id={`${id}-lead`} className="dialog-lead">
          {words.message.deleteLead}
        </p>
        <blockquote className="delete-text" dir="auto">
          {plainStart(row.content, 280) || describeFiles(row.attachments)}
        </blockquote>
        <div className="dialog-choice">
          <Button look="line" onClick={() => dialog.current?.close()}>
            {words.message.keepIt}
          </Button>
          <Button
            look="primary"
            data-testid="delete-confirm"
            onClick={() => {
              onDelete()
              dialog.current?.close()
            }}
          >
            {words.message.remove}
          </Button>
        </div>
      </div>
    </dialog>
  )
}
