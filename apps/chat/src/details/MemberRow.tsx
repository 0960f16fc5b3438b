import type { Member, PresenceView, Role } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { Crown, MessageCircle, ShieldCheck, UserRound, UserRoundMinus } from "lucide-react"
import { DropdownMenu } from "radix-ui"
import { type ReactNode, useRef, useState } from "react"
import { useLayer } from "../app/layers"
import { focusThread } from "../app/regions"
import { go } from "../app/route"
import { nameOf } from "../logic/members"
import type { Rights } from "../logic/roles"
import { presenceDetail } from "../presence/view"
import { words } from "../strings"
import { Avatar } from "../ui/Avatar"
import { showFailure } from "../ui/failure"
import { RowName } from "../ui/row-parts"

const icons: Record<Role, ReactNode> = {
  owner: <Crown size={17} aria-hidden="true" />,
  admin: <ShieldCheck size={17} aria-hidden="true" />,
  member: <UserRound size={17} aria-hidden="true" />,
}

/** A member: name, presence and role. The row opens a menu, except for the user. */
export function MemberRow(props: {
  member: Member
  presence: PresenceView | undefined
  /** Distinguishes them from others of the same name. */
  handle: string | undefined
  now: Date
  isSelf: boolean
  rights: Rights
  tabIndex: 0 | -1
  onRole: (role: Role) => void
  /** `opener` takes the focus back. */
  onRemove: (opener: HTMLElement) => void
}) {
  const { member, presence, handle, now, isSelf, rights, tabIndex, onRole, onRemove } = props
  const client = useLamplight()
  const row = useRef<HTMLButtonElement>(null)
  /** Another element takes the focus. */
  const moved = useRef(false)
  const [isOpen, setOpen] = useState(false)
  useLayer(() => setOpen(false), isOpen)
  const name = nameOf({ id: member.id, name: presence?.user?.name || member.name })
  const state = presence?.status ?? "unknown"
  const detail = presence ? presenceDetail(presence, now) : ""
  const face = (
    <>
      <Avatar id={member.id} name={name} avatarUrl={member.avatarUrl} presence={state} />
      <span className="row-text">
        <span className="row-line">
          <RowName name={name} handle={handle} state={state} />
          {isSelf && <span className="row-you">{words.details.you}</span>}
          {member.role !== "member" && (
            <span className="role" data-role={member.role}>
              {words.details.roles[member.role]}
            </span>
          )}
        </span>
        <span className="row-preview block text-xs" dir="auto">
          {detail}
        </span>
      </span>
    </>
  )

  async function write() {
    moved.current = true
    try {
      const { id } = await client.openConversation(member.id)
      go({ view: "thread", conversationId: id })
      focusThread()
    } catch (thrown) {
      showFailure(words.people.startFailed, thrown)
      row.current?.focus()
    }
  }

  if (isSelf)
    return (
      <li className="person">
        <div className="row row-person row-still" data-testid="member" data-user-id={member.id}>
          {face}
        </div>
      </li>
    )
  return (
    <li className="person">
      <DropdownMenu.Root modal={false} open={isOpen} onOpenChange={setOpen}>
        <DropdownMenu.Trigger asChild>
          <button
            ref={row}
            type="button"
            className="row row-person"
            data-testid="member"
            data-user-id={member.id}
            data-roving={member.id}
            tabIndex={tabIndex}
            // The arrow keys move through the list: Enter and Space open the menu.
            onKeyDown={(event) => {
              if (event.key === "ArrowDown") event.preventDefault()
            }}
          >
            {face}
          </button>
        </DropdownMenu.Trigger>
        {/* In the panel, and not beside the landmarks of the page. */}
        <DropdownMenu.Portal container={row.current?.closest<HTMLElement>(".panel-details")}>
          <DropdownMenu.Content
            className="menu message-menu"
            align="end"
            sideOffset={4}
            collisionPadding={12}
            aria-label={words.details.actionsOn(name)}
            onCloseAutoFocus={(event) => {
              if (moved.current) event.preventDefault()
              moved.current = false
            }}
          >
            <DropdownMenu.Item className="menu-item" onSelect={() => void write()}>
              <MessageCircle size={17} aria-hidden="true" />
              {words.details.write}
            </DropdownMenu.Item>
            {rights.roles.map((role) => (
              <DropdownMenu.Item
                key={role}
                className="menu-item"
                data-testid={`make-${role}`}
                onSelect={() => onRole(role)}
              >
                {icons[role]}
                {words.details.make[role]}
              </DropdownMenu.Item>
            ))}
            {rights.canRemove && (
              <DropdownMenu.Item
                className="menu-item"
                data-danger=""
                data-testid="remove-member"
                onSelect={() => {
                  if (!row.current) return
                  moved.current = true
                  onRemove(row.current)
                }}
              >
                <UserRoundMinus size={17} aria-hidden="true" />
                {words.details.remove}
              </DropdownMenu.Item>
            )}
          </DropdownMenu.Content>
        </DropdownMenu.Portal>
      </DropdownMenu.Root>
    </li>
  )
}
