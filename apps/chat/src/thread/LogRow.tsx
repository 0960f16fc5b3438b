import type { MessageRow } from "@lamplight/client"
import { memo } from "react"
import type { Row } from "../logic/rows"
import { systemText } from "../logic/system"
import { clock, dayTitle, moment } from "../logic/time"
import { words } from "../strings"
import { useThreadActions } from "./actions"
import type { DeliveryState } from "./delivery-state"
import type { Hold } from "./Folded"
import { MessageLine } from "./MessageLine"

/** One row of the log. It renders again only when it changes. */
export const LogRow = memo(function LogRow(props: {
  row: Row<MessageRow>
  name: string
  /** Tells the sender from members of a like name. */
  handle: string | undefined
  selfId: string
  /** The names of the users in a change of the group. */
  nameOf: ((userId: string) => string) | undefined
  isGroup: boolean
  today: Date
  delivery: DeliveryState
  newest: boolean
  behindFailed: boolean
  canChange: boolean
  active: boolean
  menuOpen: boolean
  onMenu: (key: string | null) => void
  hold?: Hold
}) {
  const { row, name, handle, selfId, nameOf, isGroup, today, delivery } = props
  const { newest, behindFailed, canChange, active, menuOpen, onMenu, hold } = props
  switch (row.kind) {
    case "start":
      return <p className="beginning">{isGroup ? words.thread.startGroup(name) : words.thread.start(name)}</p>
    case "day":
      return (
        <h3 className="day" data-testid="day">
          <Day date={row.date} title={dayTitle(row.date, today, words.time)} />
        </h3>
      )
    case "system":
      return (
        <div
          className="system-row"
          data-testid="system"
          data-seq={row.system.seq}
          title={moment(new Date(row.system.createdAt))}
        >
          {systemText(row.system, selfId, nameOf ?? String).map((sentence) => (
            <p key={sentence} dir="auto">
              {sentence}
            </p>
          ))}
        </div>
      )
    case "unread":
      return (
        <p className="unread-line" data-testid="unread-divider">
          {words.thread.unread}
        </p>
      )
    case "more":
      return (
        <p className="more-line" data-testid="more">
          <span className="typing-dots" aria-hidden="true">
            <span />
            <span />
            <span />
          </span>
          {words.thread.more}
        </p>
      )
    case "head": {
      if (!row.hasTime) return <div className="group-gap" />
      const at = new Date(row.message.createdAt)
      return (
        <p className="group-head" data-own={row.message.mine ? "" : undefined}>
          {isGroup && (
            <span className={row.message.mine ? "sr-only" : "group-name"} dir="auto">
              {row.message.mine ? words.thread.you : name}
            </span>
          )}
          {isGroup && handle && !row.message.mine && (
            <span className="row-handle" dir="auto">
              {handle}
            </span>
          )}
          <time className="group-time" dateTime={row.message.createdAt} title={moment(at)}>
            {clock(at)}
          </time>
        </p>
      )
    }
    case "message":
      return (
        <MessageLine
          message={row.message}
          first={row.first}
          last={row.last}
          newest={newest}
          behindFailed={behindFailed}
          name={name}
          delivery={delivery}
          canChange={canChange}
          active={active}
          menuOpen={menuOpen}
          onMenu={(open) => onMenu(open ? row.key : null)}
          hold={hold}
        />
      )
  }
})

/** The name of a day, which leads to others. */
function Day({ date, title }: { date: Date; title: string }) {
  const { pickDate } = useThreadActions()
  return (
    <button
      type="button"
      className="day-button"
      title={words.thread.toDate}
      aria-label={words.thread.toDateFrom(title)}
      onClick={({ currentTarget }) => pickDate(currentTarget, date)}
    >
      {title}
    </button>
  )
}
