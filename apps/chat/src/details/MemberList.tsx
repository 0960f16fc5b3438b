import type { ConversationInfo, Member, Role, User } from "@lamplight/client"
import { type useMembers, usePresences } from "@lamplight/react"
import { UserRoundPlus } from "lucide-react"
import { useMemo, useState } from "react"
import { useNow } from "../app/hooks"
import { focusDetails } from "../app/regions"
import { AddMembers } from "../groups/AddMembers"
import { nameOf } from "../logic/members"
import { rightsOver, sortMembers } from "../logic/roles"
import { useHandles } from "../people/handles"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { groupReason, showFailure } from "../ui/failure"
import { Confirm } from "../ui/Modal"
import { useRoving } from "../ui/roving"
import { Skeleton, State } from "../ui/State"
import { MemberRow } from "./MemberRow"

/** The members of a group, owners first. Each has a menu of the permitted actions. */
export function MemberList(props: {
  item: ConversationInfo
  self: User
  role: Role
  group: ReturnType<typeof useMembers>
}) {
  const { item, self, role, group } = props
  const { members, status, hasMore, loadingMore, loadMore, reload } = group
  const [adding, setAdding] = useState<HTMLElement | null>(null)
  const [removing, setRemoving] = useState<{ member: Member; opener: HTMLElement } | null>(null)
  const sorted = useMemo(() => sortMembers(members, self.id), [members, self.id])
  const ids = useMemo(() => sorted.map(({ id }) => id), [sorted])
  const watched = useMemo(() => [...ids].sort(), [ids])
  const presences = usePresences(watched)
  const handles = useHandles(members)
  const now = useNow(30_000)
  const roving = useRoving(ids, null)

  return (
    <section className="details-section" aria-label={words.details.membersTitle}>
      <h3 className="rows-title">{words.details.membersTitle}</h3>
      {(role === "owner" || role === "admin") && (
        <button
          type="button"
          className="details-action"
          data-testid="add-members"
          onClick={({ currentTarget }) => setAdding(currentTarget)}
        >
          <UserRoundPlus size={18} aria-hidden="true" />
          {words.details.add}
        </button>
      )}
      {status === "loading" && <Skeleton rows={4} kind="people" label={words.details.loading} />}
      {status === "error" && (
        <State
          kind="error"
          title={words.details.membersFailed}
          action={
            <Button
              look="line"
              onClick={() => reload().catch((thrown) => showFailure(words.details.membersFailed, thrown))}
            >
              {words.list.retry}
            </Button>
          }
        />
      )}
      <ul data-testid="members" {...roving.handlers}>
        {sorted.map((member) => (
          <MemberRow
            key={member.id}
            member={member}
            presence={presences[member.id]}
            handle={handles.get(member.id)}
            now={now}
            isSelf={member.id === self.id}
            rights={rightsOver(member, role, self.id)}
            tabIndex={roving.tabStop(member.id)}
            onRole={(next) =>
              group
                .setRole(member.id, next)
                .catch((thrown) => showFailure(words.details.roleFailed, thrown, groupReason(thrown)))
            }
            onRemove={(opener) => setRemoving({ member, opener })}
          />
        ))}
      </ul>
      {hasMore && status === "ready" && (
        <p className="pt-1 text-center">
          <Button
            look="text"
            disabled={loadingMore}
            onClick={() => loadMore().catch((thrown) => showFailure(words.details.membersFailed, thrown))}
          >
            {words.details.more}
          </Button>
        </p>
      )}
      {adding && (
        <AddMembers
          conversationId={item.id}
          self={self}
          present={members}
          focus={{ opener: adding, otherwise: focusDetails }}
          onAdd={group.add}
          onClose={() => setAdding(null)}
        />
      )}
      {removing && (
        <Confirm
          title={words.details.removeTitle(nameOf(removing.member))}
          lead={words.details.removeLead}
          confirm={words.details.removeConfirm}
          focus={{ opener: removing.opener, otherwise: focusDetails }}
          onConfirm={() => group.remove(removing.member.id)}
          onClose={() => setRemoving(null)}
        />
      )}
    </section>
  )
}
