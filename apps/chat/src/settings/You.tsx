import type { User } from "@lamplight/client"
import { ChevronRight, LogOut, UserRound } from "lucide-react"
import { useMemo, useState } from "react"
import type { PageActions } from "../palette/actions"
import { useHandles } from "../people/handles"
import { StatusChoices } from "../presence/StatusChoices"
import { useOwnPresence } from "../presence/useOwnPresence"
import { stateLabel } from "../presence/view"
import type { SignInMode } from "../session/signOut"
import { words } from "../strings"
import { Avatar } from "../ui/Avatar"
import { Sections } from "./Sections"

/** The user's own screen on a phone: who they are, their status, and the settings. */
export function You({ self, mode, page }: { self: User; mode: SignInMode; page: PageActions }) {
  const { name, state, avatarUrl } = useOwnPresence(self)
  const [unsaved, setUnsaved] = useState<string | null>(null)
  const handle = useHandles(
    useMemo(() => [self], [self]),
    true,
  ).get(self.id)
  return (
    <div className="scroller you">
      <div className="you-head">
        <Avatar id={self.id} name={name} avatarUrl={avatarUrl} presence={state} size="xl" />
        <h2 className="you-name" dir="auto">
          {name}
        </h2>
        <p className="you-sub">
          {handle && (
            <>
              <bdi>{handle}</bdi> ·{" "}
            </>
          )}
          {stateLabel(state)}
        </p>
      </div>
      <section className="you-card" aria-label={words.status.choose}>
        <StatusChoices selfId={self.id} unsaved={unsaved} onUnsaved={setUnsaved} />
      </section>
      <div className="settings">
        <Sections self={self} mode={mode} page={page} />
      </div>
      <section className="you-card" aria-label={words.preferences.account}>
        {page.account && (
          <button type="button" className="menu-item" data-testid="account-open" onClick={page.account}>
            <UserRound size={18} aria-hidden="true" />
            {words.account.open}
            <ChevronRight size={16} className="menu-check" aria-hidden="true" />
          </button>
        )}
        <button type="button" className="menu-item" data-testid="sign-out" onClick={page.signOut}>
          <LogOut size={18} aria-hidden="true" />
          {page.account ? words.status.signOut : words.status.switchUser}
        </button>
      </section>
    </div>
  )
}
