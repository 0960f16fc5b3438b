import { useMembers } from "@lamplight/react"
import { LogOut } from "lucide-react"
import { type ReactNode, useState } from "react"
import { focusList } from "../app/regions"
import { leaveThread } from "../app/route"
import { conversationTitle } from "../logic/members"
import { words } from "../strings"
import { Confirm } from "../ui/Modal"
import { GroupName } from "./GroupName"
import { GroupPicture } from "./GroupPicture"
import { MemberList } from "./MemberList"
import { Notices } from "./Notices"
import type { DetailsProps } from "./props"

/** The details of a group: its name, its members, and the button to leave it. */
export function GroupDetails({ item, self, files }: DetailsProps & { files: ReactNode }) {
  const group = useMembers(item.id)
  const [opener, setOpener] = useState<HTMLElement | null>(null)
  const role = item.role ?? group.role
  const canEdit = role === "owner" || role === "admin"
  const name = conversationTitle(item, self.id)
  const isLastOwner =
    role === "owner" &&
    !group.hasMore &&
    !group.members.some((member) => member.role === "owner" && member.id !== self.id)
  const isAlone = group.status === "ready" && group.count < 2
  return (
    <>
      <div className="details-hero">
        <GroupPicture item={item} self={self} canEdit={canEdit} />
        <GroupName item={item} name={name} canEdit={canEdit} />
        <p className="details-sub">{words.details.members(item.memberCount ?? item.members.length)}</p>
      </div>
      <Notices item={item} />
      {files}
      <MemberList item={item} self={self} role={role ?? "member"} group={group} />
      <section className="details-section" aria-label={words.details.membership}>
        <button
          type="button"
          className="details-action"
          data-danger=""
          data-testid="leave"
          onClick={({ currentTarget }) => setOpener(currentTarget)}
        >
          <LogOut size={18} aria-hidden="true" />
          {words.details.leave}
        </button>
      </section>
      {opener && (
        <Confirm
          title={words.details.leaveTitle(name)}
          lead={
            isAlone
              ? words.details.leaveLeadAlone
              : isLastOwner
                ? words.details.leaveLeadOwner
                : words.details.leaveLead
          }
          confirm={words.details.leaveConfirm}
          focus={{ opener, otherwise: focusList }}
          onConfirm={async () => {
            await group.leave()
            leaveThread()
          }}
          onClose={() => setOpener(null)}
        />
      )}
    </>
  )
}
