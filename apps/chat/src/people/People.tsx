import type { PresenceView, User } from "@lamplight/client"
import { useLamplight, usePresences, useRoster } from "@lamplight/react"
import { MessageCirclePlus, Search, X } from "lucide-react"
import { memo, useMemo, useRef, useState } from "react"
import { useMedia, useNow } from "../app/hooks"
import { useLayer } from "../app/layers"
import { PHONE } from "../design/breakpoints"
import { fold } from "../logic/names"
import { words } from "../strings"
import { Button, IconButton } from "../ui/Button"
import { showFailure } from "../ui/failure"
import { overlay } from "../ui/overlay"
import { useRoving } from "../ui/roving"
import { Skeleton, State } from "../ui/State"
import { useHandles } from "./handles"
import { PersonRow } from "./PersonRow"
import { useDirectory } from "./useDirectory"

const FirstRun = overlay((overlays) => overlays.FirstRun)

/** The attributes of the panel while it is a sheet over the others. */
const dialog = { role: "dialog", "aria-modal": true } as const

/** The limit of listed rows: beyond it people use the search. */
const SHOWN = 300

/**
 * All users, online ones first. A search finds others. A click opens the conversation. Hundreds may be listed,
 * so that a switch of conversation does not render them.
 */
export const People = memo(function People(props: {
  self: User
  mode: "local" | "open" | "token"
  open: boolean
  /** Another panel takes its place. */
  covered: boolean
  sheet: boolean
  shown: boolean
  onSelect: (conversationId: string, focus: boolean) => void
  /** `opener` takes the focus back. */
  onNewGroup: (opener: HTMLElement) => void
  onClose: () => void
}) {
  const { self, mode, open, covered, sheet, shown, onSelect, onNewGroup, onClose } = props
  const client = useLamplight()
  const roster = useRoster()
  const [query, setQuery] = useState("")
  const [opening, setOpening] = useState<string | null>(null)
  const latest = useRef<string | null>(null)
  const now = useNow(30_000, open || shown)
  const wanted = fold(query.trim())
  const phone = useMedia(PHONE)
  useLayer(() => setQuery(""), shown && query !== "", true)

  const present = useMemo(() => {
    const others = roster.users.filter((person) => person.userId !== self.id)
    if (!wanted) return others
    return others.filter((person) => fold(`${person.user?.name ?? ""} ${person.userId}`).includes(wanted))
  }, [roster.users, self.id, wanted])
  const listed = useMemo(() => present.slice(0, SHOWN), [present])
  // All users, once the online ones are loaded.
  const isNow = (open || shown) && roster.status === "live"
  const directory = useDirectory(query.trim(), isNow ? "now" : "later")
  const isSearching = wanted !== "" && directory.status === "loading"
  const absent = useMemo(() => {
    // Online users that only the directory finds, for example by user name.
    const seen = new Set(present.map((person) => person.userId))
    // Until the results of this query arrive, those of the one before it that match this one too.
    const isMatch = ({ id, name }: User) => !isSearching || fold(`${name} ${id}`).includes(wanted)
    return directory.users.filter((user) => user.id !== self.id && !seen.has(user.id) && isMatch(user))
  }, [directory.users, present, self.id, isSearching, wanted])
  // The list may be truncated, so a person who is not on it may be online: the results are watched.
  const watched = usePresences(useMemo(() => absent.map((user) => user.id), [absent]))
  const ids = useMemo(
    () => [...listed.map((person) => person.userId), ...absent.map((user) => user.id)],
    [listed, absent],
  )
  const roving = useRoving(ids, null)
  // The server counts the user too.
  const selfListed = roster.users.some((person) => person.userId === self.id)
  const count = Math.max(0, roster.count - (selfListed ? 1 : 0))

  async function start(userId: string) {
    latest.current = userId
    setOpening(userId)
    try {
      const conversation = await client.openConversation(userId)
      // The user has clicked another person meanwhile.
      if (latest.current !== userId) return
      setQuery("")
      onSelect(conversation.id, true)
    } catch (thrown) {
      showFailure(words.people.startFailed, thrown)
    } finally {
      setOpening((id) => (id === userId ? null : id))
    }
  }

  const handles = useHandles(
    useMemo(
      () => [
        ...listed.map(({ userId, user }) => ({ id: userId, name: user?.name ?? "" })),
        ...absent,
        // The user's own name can look like another one, too.
        self,
      ],
      [listed, absent, self],
    ),
  )

  const row = (person: PresenceView, isOther = false) => (
    <PersonRow
      key={person.userId}
      person={person}
      isOther={isOther}
      handle={handles.get(person.userId)}
      now={now}
      busy={opening === person.userId}
      tabIndex={roving.tabStop(person.userId)}
      onOpen={() => void start(person.userId)}
    />
  )

  return (
    <section
      className="panel panel-people"
      data-region={open || shown ? "people" : undefined}
      data-open={open}
      data-shown={shown}
      hidden={covered && !sheet && !shown}
      {...(sheet && open && dialog)}
      aria-label={words.regions.people}
      tabIndex={-1}
    >
      <header className="panel-head">
        <div className="min-w-0 flex-1">
          <h2 className="panel-title">{words.people.title}</h2>
          <p className="min-h-4 text-xs text-ink-faint" data-testid="online-count" role="status">
            {roster.status === "unknown"
              ? words.people.countUnknown
              : roster.status === "live" && words.people.count(count)}
          </p>
        </div>
        <IconButton
          label={words.groups.open}
          className="people-group"
          onClick={({ currentTarget }) => onNewGroup(currentTarget)}
        >
          <MessageCirclePlus size={20} aria-hidden="true" />
        </IconButton>
        {sheet && (
          <IconButton label={words.regions.closePeople} onClick={onClose}>
            <X size={20} aria-hidden="true" />
          </IconButton>
        )}
      </header>
      <search className="search">
        <Search size={16} className="search-icon" aria-hidden="true" />
        <input
          className="field"
          type="text"
          inputMode="search"
          enterKeyHint="search"
          data-testid="people-search"
          data-region-entry=""
          aria-label={words.people.search}
          placeholder={words.people.search}
          autoComplete="off"
          spellCheck={false}
          dir="auto"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape" && query) {
              event.preventDefault()
              setQuery("")
            } else if (
              event.key === "ArrowDown" ||
              (event.key === "Enter" && !event.nativeEvent.isComposing)
            ) {
              const first = event.currentTarget
                .closest("section")
                ?.querySelector<HTMLElement>("[data-roving]")
              if (!first) return
              event.preventDefault()
              if (event.key === "Enter") first.click()
              else first.focus()
            }
          }}
        />
        {query && (
          <IconButton label={words.people.clear} className="search-clear" onClick={() => setQuery("")}>
            <X size={16} aria-hidden="true" />
          </IconButton>
        )}
      </search>
      <div className="scroller" data-testid="people">
        {roster.status === "loading" && <Skeleton rows={5} kind="people" label={words.people.loading} />}
        <div className="rows" {...roving.handlers}>
          {listed.length > 0 && (
            <>
              {(wanted || absent.length > 0) && <h3 className="rows-title">{words.people.inNow}</h3>}
              <ul>{listed.map((person) => row(person))}</ul>
              {(present.length > listed.length || (roster.truncated && !wanted)) && (
                <p className="px-2.5 py-2 text-xs text-ink-faint">
                  {words.people.truncated(listed.length, wanted ? present.length : count)}
                </p>
              )}
            </>
          )}
          {absent.length > 0 && (
            <>
              <h3 className="rows-title">{wanted ? words.people.everyone : words.people.others}</h3>
              <ul>{absent.map((user) => row({ ...(watched[user.id] ?? unseen(user)), user }, !wanted))}</ul>
              {directory.more && (
                <p className="pt-1 text-center">
                  <Button look="text" onClick={directory.loadMore}>
                    {words.people.more}
                  </Button>
                </p>
              )}
            </>
          )}
        </div>
        {phone && !wanted && directory.status === "ready" && ids.length === 0 && (
          <FirstRun mode={mode} title={words.people.emptyTitle} />
        )}
        {wanted && directory.status === "loading" && absent.length === 0 && (
          <p className="px-5 py-3 text-sm text-ink-faint" role="status">
            {words.people.loading}
          </p>
        )}
        {directory.status === "error" && (wanted || absent.length === 0) && (
          <State
            kind="error"
            title={words.people.failed}
            action={
              <Button look="line" onClick={directory.retry}>
                {words.list.retry}
              </Button>
            }
          />
        )}
        {wanted && directory.status === "ready" && ids.length === 0 && (
          <State
            kind="empty"
            title={words.people.none(query.trim())}
            lead={words.people.noneLead}
            action={
              directory.anyone && (
                <Button look="line" onClick={() => void start(query.trim())}>
                  {words.people.writeId(query.trim())}
                </Button>
              )
            }
          />
        )}
      </div>
    </section>
  )
})

/** A person of the directory whose presence is not known yet. */
function unseen(user: User): PresenceView {
  return {
    userId: user.id,
    user,
    status: "unknown",
    text: null,
    lastActiveAt: null,
    lastSeenAt: null,
    activities: [],
  }
}
