import type { User } from "@lamplight/client"
import { useConnection, useRestored, useRoster, useUnread } from "@lamplight/react"
import { MessageCircle, UserRound } from "lucide-react"
import { useCallback, useEffect, useRef, useState } from "react"
import { FailureWatch } from "../composer/FailureWatch"
import { Conversations } from "../conversations/Conversations"
import { PHONE, WIDE } from "../design/breakpoints"
import { Device } from "../device/Device"
import { NewVersion } from "../device/NewVersion"
import { badge } from "../logic/title"
import { People } from "../people/People"
import { StatusMenu } from "../presence/StatusMenu"
import { focusSearch, noSearch, type SearchRequest } from "../search/SearchField"
import { words } from "../strings"
import { NoThread } from "../thread/NoThread"
import { Thread } from "../thread/Thread"
import { tryAgain } from "../ui/again"
import { later } from "../ui/later"
import { Skeleton } from "../ui/State"
import { Banner, reportHeight } from "./Banner"
import { useMedia } from "./hooks"
import { Notify } from "./Notify"
import { Restored } from "./Restored"
import { cycleRegions, focusComposer, focusDetails, focusList, focusPeople, focusThread } from "./regions"
import { closeDetails, go, openDetails, useRoute } from "./route"
import { Title } from "./Title"

/** Loaded when the details about a conversation are first opened. */
const Details = later(
  async () => ({ default: (await import("../details/panels")).Details }),
  () => <Skeleton rows={5} kind="people" label={words.details.loading} />,
)

/** Keeps a copy of what is seen for a time without a server. */
const KeepCopy = later(() => import("../offline/KeepCopy"), null, { soon: true, instead: () => null })

/** Loaded when the first group is made. */
const NewGroup = later(async () => ({ default: (await import("../details/panels")).NewGroup }), null)

/** The three panels: conversations, thread and people. The width decides how many are visible at once. */
export function Shell(props: { self: User; mode: "local" | "open" | "token"; onLeave: () => void }) {
  const { self, mode, onLeave } = props
  const route = useRoute()
  const wide = useMedia(WIDE)
  const phone = useMedia(PHONE)
  const [sheet, setSheet] = useState(false)
  const details = route.view === "thread" && route.details === true
  // The details take the place of the people.
  const peopleOpen = !details && (wide || sheet)
  // The sheet covers the other panels: they are inert until it closes.
  const modal = (sheet || details) && !wide && !phone
  const { since: restoredAt } = useRestored()
  const selected = route.view === "thread" ? route.conversationId : null
  const openedBy = useRef<HTMLElement | null>(null)
  /** The details were closed by hand, and give the focus back. */
  const returning = useRef(false)
  const [search, setSearch] = useState(noSearch)
  /** The button that opened the dialog for a new group, while it is open. */
  const [groupOpener, setGroupOpener] = useState<HTMLElement | null>(null)

  const select = useCallback((conversationId: string, focus: boolean) => {
    go({ view: "thread", conversationId })
    setSheet(false)
    if (focus) focusThread()
  }, [])

  const show = useCallback((conversationId: string) => select(conversationId, false), [select])

  const showMessage = useCallback((conversationId: string, seq: number) => {
    go({ view: "thread", conversationId, seq })
    setSheet(false)
  }, [])

  /** Searches in all conversations, or in one. */
  const openSearch = useCallback(
    (scope: SearchRequest["scope"]) => {
      setSearch((last) => (scope || last.scope ? { query: "", scope } : last))
      setSheet(false)
      if (phone) go({ view: "conversations" })
      focusSearch()
    },
    [phone],
  )

  const openPeople = useCallback(() => {
    openedBy.current = document.activeElement as HTMLElement | null
    if (phone) go({ view: "people" })
    else setSheet(true)
    focusPeople()
  }, [phone])

  const closePeople = useCallback(() => {
    setSheet(false)
    // The elements below can take the focus only after they are not inert any more.
    requestAnimationFrame(() => openedBy.current?.focus())
  }, [])

  const toggleDetails = useCallback(() => {
    if (selected === null) return
    if (details) {
      returning.current = true
      closeDetails()
      return
    }
    openedBy.current = document.activeElement as HTMLElement | null
    setSheet(false)
    openDetails(selected)
    focusDetails()
  }, [selected, details])

  const hideDetails = useCallback(() => {
    returning.current = true
    closeDetails()
  }, [])

  // What is below can take the focus once the panel is closed, which the history does a moment later.
  useEffect(() => {
    if (details || !returning.current) return
    returning.current = false
    // A panel that was open before a reload was opened by nothing that is here.
    const opener = openedBy.current?.isConnected ? openedBy.current : null
    if (opener) opener.focus()
    else focusThread()
  }, [details])

  const isConnected = useConnection().status === "connected"
  useEffect(() => {
    if (isConnected) tryAgain()
  }, [isConnected])

  // Where people have a panel of their own there is no sheet, and none opens when the window narrows again.
  useEffect(() => {
    if (wide || phone) setSheet(false)
  }, [wide, phone])

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "F6") {
        event.preventDefault()
        cycleRegions(event.shiftKey)
      } else if (opensSearch(event)) {
        event.preventDefault()
        openSearch(null)
      } else if (event.key === "Escape" && sheet && !event.defaultPrevented) {
        closePeople()
      } else if (event.key === "Escape" && details && !event.defaultPrevented && isInDetails(event)) {
        hideDetails()
      }
    }
    addEventListener("keydown", onKey)
    return () => removeEventListener("keydown", onKey)
  }, [sheet, details, closePeople, hideDetails, openSearch])

  return (
    <div className="shell">
      {selected !== null && !modal && (
        <button type="button" className="skip" onClick={focusComposer}>
          {words.regions.skip}
        </button>
      )}
      <Title selected={selected} self={self} />
      <Device self={self} mode={mode} selected={selected} />
      {mode === "local" && "serviceWorker" in navigator && <KeepCopy self={self} selected={selected} />}
      <Notify selfId={self.id} selected={selected} onShow={show} />
      <FailureWatch self={self} selected={selected} onShow={show} />
      <div ref={reportHeight}>
        <Banner />
        <Restored />
        <NewVersion />
      </div>
      <main className="panels">
        <h1 className="sr-only">{words.product}</h1>
        <Conversations
          self={self}
          mode={mode}
          selected={selected}
          shown={route.view === "conversations"}
          inert={modal}
          search={search}
          onSearch={setSearch}
          onSelect={select}
          onShow={showMessage}
          onNewGroup={setGroupOpener}
          onFind={wide ? focusPeople : openPeople}
          onLeave={onLeave}
        />
        <section
          className="panel panel-thread"
          data-region="thread"
          data-shown={route.view === "thread" && !details}
          data-testid="thread"
          aria-label={words.regions.thread}
          inert={modal}
          tabIndex={-1}
        >
          {selected === null ? (
            <NoThread onFind={wide ? focusPeople : openPeople} />
          ) : (
            <Thread
              // The state of a log that was replaced (what was seen, the divider) is dropped with it.
              key={`${selected}:${restoredAt}`}
              id={selected}
              self={self}
              wide={wide}
              target={route.view === "thread" && route.seq !== undefined ? route.seq : null}
              details={details}
              onDetails={toggleDetails}
              onSearch={openSearch}
              onPeople={openPeople}
              onOut={focusList}
            />
          )}
        </section>
        {modal && (
          <button
            type="button"
            className="scrim"
            tabIndex={-1}
            aria-label={details ? words.details.close : words.regions.closePeople}
            onClick={details ? hideDetails : closePeople}
          />
        )}
        <People
          self={self}
          open={peopleOpen}
          covered={details}
          sheet={!wide && !phone}
          shown={route.view === "people"}
          onSelect={select}
          onNewGroup={setGroupOpener}
          onClose={closePeople}
        />
        {details && selected !== null && (
          <aside
            className="panel panel-details"
            data-region="details"
            data-shown="true"
            data-testid="details"
            {...(modal && { role: "dialog", "aria-modal": true })}
            aria-label={words.details.region}
            tabIndex={-1}
          >
            <Details key={selected} id={selected} self={self} onClose={hideDetails} />
          </aside>
        )}
      </main>
      {groupOpener && (
        <NewGroup
          self={self}
          focus={{ opener: groupOpener, otherwise: focusThread }}
          onMade={(conversationId) => {
            setGroupOpener(null)
            select(conversationId, true)
          }}
          onClose={() => setGroupOpener(null)}
        />
      )}
      {route.view !== "thread" && <Tabs self={self} mode={mode} view={route.view} onLeave={onLeave} />}
    </div>
  )
}

/** Escape ends what is nearer first: an edit in the composer, a search. */
function isInDetails({ target }: KeyboardEvent): boolean {
  return target === document.body || (target as HTMLElement).closest(".panel-details") !== null
}

/** Cmd + K, and Ctrl + K but on a Mac, where that deletes the rest of a line. */
function opensSearch({ key, ctrlKey, metaKey, altKey, shiftKey }: KeyboardEvent): boolean {
  const isMac = /mac|iphone|ipad/i.test(navigator.platform)
  return key.toLowerCase() === "k" && !altKey && !shiftKey && (metaKey || (ctrlKey && !isMac))
}

/** The navigation between panels on a phone. A thread has a back button instead. */
function Tabs(props: {
  self: User
  mode: "local" | "open" | "token"
  view: "conversations" | "people"
  onLeave: () => void
}) {
  const unread = useUnread().total
  const roster = useRoster()
  return (
    <nav className="tabs" aria-label={words.regions.tabs}>
      <button
        type="button"
        className="tab"
        aria-current={props.view === "conversations" ? "page" : undefined}
        onClick={() => go({ view: "conversations" })}
      >
        <span className="tab-icon">
          <MessageCircle size={20} aria-hidden="true" />
          {unread > 0 && (
            <span className="unread-badge tab-badge">
              <span aria-hidden="true">{badge(unread)}</span>
              <span className="sr-only">{words.list.unread(unread)}</span>
            </span>
          )}
        </span>
        {words.regions.messagesTab}
      </button>
      <button
        type="button"
        className="tab"
        aria-current={props.view === "people" ? "page" : undefined}
        onClick={() => go({ view: "people" })}
      >
        <span className="tab-icon">
          <UserRound size={20} aria-hidden="true" />
        </span>
        {words.regions.peopleTab}
        {roster.status === "live" && <span className="sr-only">{words.people.count(roster.count)}</span>}
      </button>
      <StatusMenu self={props.self} mode={props.mode} onLeave={props.onLeave} look="tab" />
    </nav>
  )
}
