import type { Lamplight, User } from "@lamplight/client"
import { useConnection, useLamplight, useRestored, useRoster, useUnread } from "@lamplight/react"
import { MessageCircle, UserRound } from "lucide-react"
import { useCallback, useEffect, useRef, useState } from "react"
import { FailureWatch } from "../composer/FailureWatch"
import { Conversations } from "../conversations/Conversations"
import { PHONE, WIDE } from "../design/breakpoints"
import { Device } from "../device/Device"
import { conversationTitle } from "../logic/members"
import { badge } from "../logic/title"
import { People } from "../people/People"
import { YouTab } from "../presence/StatusMenu"
import { focusSearch, noSearch, type SearchRequest } from "../search/SearchField"
import { words } from "../strings"
import { NoThread } from "../thread/NoThread"
import { Thread } from "../thread/Thread"
import { tryAgain } from "../ui/again"
import { later } from "../ui/later"
import { overlay } from "../ui/overlay"
import { Skeleton } from "../ui/State"
import { Banner, reportHeight } from "./Banner"
import { useMedia } from "./hooks"
import { useLayer } from "./layers"
import { Notify } from "./Notify"
import { PageDialogs, You } from "./PageDialogs"
import { focusComposer, focusDetails, focusList, focusPeople, focusThread, focusYou } from "./regions"
import { closeDetails, go, leaveYou, openDetails, useRoute } from "./route"
import { Title } from "./Title"
import { usePage } from "./usePage"

const NewVersion = overlay((overlays) => overlays.NewVersion)
const Restored = overlay((overlays) => overlays.Restored)

/** Loaded when the details about a conversation are first opened. */
const Details = later(
  async () => ({ default: (await import("../details/panels")).Details }),
  () => <Skeleton rows={5} kind="people" label={words.details.loading} />,
)

/** Saves a copy of the shown data, to read without a server. */
const KeepCopy = later(() => import("../offline/KeepCopy"), null, { soon: true, instead: () => null })

/** Loaded when the first group is made. */
const NewGroup = later(async () => ({ default: (await import("../details/panels")).NewGroup }), null)

/** The three panels: conversations, thread and people. The width decides how many are visible at once. */
export function Shell(props: { self: User; mode: "local" | "open" | "token"; onLeave: () => void }) {
  const { self, mode, onLeave } = props
  const client = useLamplight()
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
  /** The user closed the details, which return the focus. */
  const returning = useRef(false)
  const [search, setSearch] = useState(noSearch)
  /** The open dialog for a new group, and the element that gets the focus back. */
  const [grouping, setGrouping] = useState<{ opener: HTMLElement | null } | null>(null)
  const newGroup = useCallback((opener: HTMLElement | null) => setGrouping({ opener }), [])

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
    (scope: SearchRequest["scope"], query?: string) => {
      setSearch((last) =>
        query !== undefined ? { query, scope } : scope || last.scope ? { query: "", scope } : last,
      )
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

  // Elements below the panel can take the focus only once the panel is closed, which happens
  // asynchronously with the history.
  useEffect(() => {
    if (details || !returning.current) return
    returning.current = false
    // A panel that was open before a reload has no opener on this page.
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

  useLayer(closePeople, sheet && !wide && !phone)

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented) return
      if (sheet) closePeople()
      else if (details && isInDetails(event)) hideDetails()
    }
    addEventListener("keydown", onKey)
    return () => removeEventListener("keydown", onKey)
  }, [sheet, details, closePeople, hideDetails])

  const { opened, open, close, page } = usePage({
    self,
    mode,
    selected,
    phone,
    wide,
    onLeave,
    onSelect: select,
    onSearch: openSearch,
    onSearchHere() {
      const name = selected === null ? null : nameOfConversation(client, selected, self.id)
      if (selected !== null && name !== null) openSearch({ id: selected, name })
    },
    onPeople: openPeople,
    onDetails: toggleDetails,
    onNewGroup: newGroup,
  })

  // In a wider window the settings are a dialog.
  const isYou = route.view === "you"
  useEffect(() => {
    if (!isYou || phone) return
    leaveYou()
    open("settings")
  }, [isYou, phone, open])

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
      <Notify selfId={self.id} mode={mode} selected={selected} onShow={show} />
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
          page={page}
          onNewGroup={newGroup}
          onPalette={(opener) => open("palette", opener)}
          onFind={wide ? focusPeople : openPeople}
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
            <NoThread mode={mode} onFind={wide ? focusPeople : openPeople} />
          ) : (
            <Thread
              // The state of a replaced log (read position, divider) is dropped with it.
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
          mode={mode}
          open={peopleOpen}
          covered={details}
          sheet={!wide && !phone}
          shown={route.view === "people"}
          onSelect={select}
          onNewGroup={newGroup}
          onClose={closePeople}
        />
        {isYou && phone && (
          <section
            className="panel panel-you"
            data-region="you"
            data-shown="true"
            data-testid="you"
            aria-label={words.regions.youTab}
            tabIndex={-1}
          >
            <You self={self} mode={mode} page={page} />
          </section>
        )}
        {details && selected !== null && (
          <section
            className="panel panel-details"
            data-region="details"
            data-shown="true"
            data-testid="details"
            {...(modal && { role: "dialog", "aria-modal": true })}
            aria-label={words.details.region}
            tabIndex={-1}
          >
            <Details key={selected} id={selected} self={self} onClose={hideDetails} />
          </section>
        )}
      </main>
      {grouping && (
        <NewGroup
          self={self}
          focus={{ opener: grouping.opener, otherwise: focusThread }}
          onMade={(conversationId) => {
            setGrouping(null)
            select(conversationId, true)
          }}
          onClose={() => setGrouping(null)}
        />
      )}
      <PageDialogs
        opened={opened}
        self={self}
        mode={mode}
        selected={selected}
        page={page}
        onSelect={select}
        onShow={showMessage}
        onLeave={onLeave}
        onClose={close}
      />
      {route.view !== "thread" && <Tabs self={self} view={route.view} />}
    </div>
  )
}

function nameOfConversation(client: Lamplight, id: string, selfId: string): string | null {
  const item = client.conversation(id).item.get()
  return item && conversationTitle(item, selfId)
}

/** Escape first ends an edit in the composer, then a search. */
function isInDetails({ target }: KeyboardEvent): boolean {
  return target === document.body || (target as HTMLElement).closest(".panel-details") !== null
}

/** The navigation between panels on a phone. A thread has a back button instead. */
function Tabs(props: { self: User; view: "conversations" | "people" | "you" }) {
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
      <YouTab
        self={props.self}
        isCurrent={props.view === "you"}
        onOpen={() => {
          go({ view: "you" })
          focusYou()
        }}
      />
    </nav>
  )
}
