import type { PresenceView } from "@lamplight/client"
import { memo } from "react"
import { presenceDetail } from "../presence/view"
import { Avatar } from "../ui/Avatar"
import { RowName } from "../ui/row-parts"

/** One person in the panel. The accessible name is "Asha, online"; the line below is its description. */
export const PersonRow = memo(
  function PersonRow(props: {
    person: PresenceView
    /** Whether the row is among those who need not be online. */
    isOther?: boolean
    /** Distinguishes them from others of the same name. */
    handle: string | undefined
    now: Date
    busy: boolean
    tabIndex: 0 | -1
    onOpen: () => void
  }) {
    const { person, isOther = false, handle, now, busy, tabIndex, onOpen } = props
    const name = person.user?.name || person.userId
    const detail = presenceDetail(person, now)
    return (
      <li className="person">
        <button
          type="button"
          className="row row-person"
          data-testid={isOther ? "other-user" : "online-user"}
          data-user-id={person.userId}
          data-roving={person.userId}
          aria-description={detail}
          aria-busy={busy}
          tabIndex={tabIndex}
          onClick={onOpen}
        >
          <Avatar
            id={person.userId}
            name={name}
            avatarUrl={person.user?.avatarUrl}
            presence={person.status}
          />
          <span className="row-text">
            <span className="row-line">
              <RowName name={name} handle={handle} state={person.status} />
            </span>
            <span className="row-preview block text-xs" dir="auto" aria-hidden="true">
              {detail}
            </span>
          </span>
        </button>
      </li>
    )
  },
  // The handler is a new function with each render and always does the same.
  (before, after) =>
    before.person === after.person &&
    before.isOther === after.isOther &&
    before.handle === after.handle &&
    before.busy === after.busy &&
    before.tabIndex === after.tabIndex &&
    (before.now === after.now || after.person.status === "online"),
)
