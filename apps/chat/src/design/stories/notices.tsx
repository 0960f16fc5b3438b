import { useRef, useState } from "react"
import { Banner } from "../../app/Banner"
import { Restored } from "../../app/Restored"
import ConversationMenu from "../../conversations/ConversationMenu"
import { EmojiPopover } from "../../emoji/EmojiPopover"
import { StatusPanel } from "../../presence/StatusPanel"
import { DeleteDialog } from "../../thread/DeleteDialog"
import { Button } from "../../ui/Button"
import { LampIllustration } from "../../ui/LampIllustration"
import { Confirm, Modal } from "../../ui/Modal"
import { Skeleton, State } from "../../ui/State"
import { toast } from "../../ui/toast"
import { asha, ben, conversation, message, page } from "./data"
import { Story } from "./Story"

const nothing = () => {}

export function Notices() {
  return (
    <Story name="banners" with={{ isLost: true }}>
      <Banner />
      <Restored />
    </Story>
  )
}

export function States() {
  const action = <Button look="line">Try again</Button>
  return (
    <>
      <Story name="states">
        {(["empty", "error", "denied"] as const).map((kind) => (
          <div key={kind} className="story-state" data-case={kind}>
            <State
              kind={kind}
              title={`This is ${kind}`}
              lead="A sentence that says what to do."
              action={action}
            />
          </div>
        ))}
        <LampIllustration />
      </Story>
      <Story name="placeholders">
        <Skeleton rows={2} kind="list" label="Loading" />
        <Skeleton rows={2} kind="people" label="Loading" />
        <div className="story-state">
          <Skeleton rows={4} kind="thread" label="Loading" />
        </div>
      </Story>
    </>
  )
}

const overlays = [
  "dialog",
  "question",
  "deletion",
  "conversation menu",
  "status menu",
  "emoji",
  "toast",
] as const

/** Overlays of the page: each opens by a button with its name. */
export function Overlays() {
  const [open, setOpen] = useState<(typeof overlays)[number] | null>(null)
  const opener = useRef<HTMLButtonElement | null>(null)
  const close = () => setOpen(null)
  const focus = { opener: opener.current, otherwise: nothing }
  return (
    <Story name="overlays">
      <div className="story-cases">
        {overlays.map((name) => (
          <Button
            key={name}
            look="line"
            data-opens={name}
            onClick={({ currentTarget }) => {
              opener.current = currentTarget
              if (name === "toast")
                toast.error("Your message to Ben was not sent", { description: "Try again." })
              setOpen(name)
            }}
          >
            {name}
          </Button>
        ))}
      </div>
      {open === "dialog" && (
        <Modal title="New group" lead="Choose people." testId="story" focus={focus} onClose={close}>
          <input className="field" aria-label="Name" placeholder="Name" />
        </Modal>
      )}
      {open === "question" && (
        <Confirm
          title="Leave the group?"
          lead="You see nothing of it afterwards."
          confirm="Leave"
          focus={focus}
          onConfirm={async () => {}}
          onClose={close}
        />
      )}
      {open === "deletion" && (
        <DeleteDialog row={message("The plans are on the table.")} onDelete={nothing} onClose={close} />
      )}
      {open === "conversation menu" && (
        <ConversationMenu item={conversation()} name={ben.name} at={{ x: 24, y: 24 }} onClose={close} />
      )}
      {open === "status menu" && (
        <StatusPanel
          trigger={opener}
          selfId={asha.id}
          unsaved={null}
          onUnsaved={nothing}
          page={page}
          onClose={close}
        />
      )}
      {open === "emoji" && opener.current && (
        <EmojiPopover anchor={opener.current} align="start" onPick={nothing} onClose={close} />
      )}
    </Story>
  )
}
