import { Popover } from "radix-ui"
import { type FormEvent, useState } from "react"
import { useLayer } from "../app/layers"
import type { MenuPlace } from "../conversations/ConversationMenu"
import { words } from "../strings"
import { Button } from "../ui/Button"

/** The date of a day where the user is, as a date field has it. */
function dayOf(date: Date): string {
  const two = (n: number) => String(n).padStart(2, "0")
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
}

/** Asks for a day. */
export default function JumpToDate(props: {
  at: MenuPlace
  /** The day to begin with. */
  from: Date
  onPick: (day: Date) => void
  /** Called after it closed. `picked`: a message takes the focus. */
  onClose: (picked: boolean) => void
}) {
  const { at, from, onPick, onClose } = props
  const [day, setDay] = useState(() => dayOf(from))
  const today = dayOf(new Date())
  useLayer(() => onClose(false))

  function pick(text: string) {
    const [year, month, date] = text.split("-").map(Number)
    if (!year || !month || !date) return
    onPick(new Date(year, month - 1, date))
    onClose(true)
  }

  return (
    <Popover.Root defaultOpen onOpenChange={(open) => !open && onClose(false)}>
      <Popover.Anchor asChild>
        <span className="menu-place" style={{ left: at.x, top: at.y }} />
      </Popover.Anchor>
      <Popover.Portal>
        <Popover.Content
          className="menu date-menu"
          data-testid="date-jump"
          sideOffset={4}
          collisionPadding={12}
          aria-label={words.thread.toDate}
          onCloseAutoFocus={(event) => event.preventDefault()}
        >
          <form
            onSubmit={(event: FormEvent) => {
              event.preventDefault()
              pick(day)
            }}
          >
            <label className="menu-label" htmlFor="jump-date">
              {words.thread.toDate}
            </label>
            <input
              id="jump-date"
              type="date"
              className="field"
              required
              max={today}
              value={day}
              onChange={({ target }) => setDay(target.value)}
            />
            <div className="date-actions">
              <Button look="line" onClick={() => pick("1970-01-01")}>
                {words.thread.toStart}
              </Button>
              <Button look="primary" type="submit">
                {words.thread.go}
              </Button>
            </div>
          </form>
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  )
}
