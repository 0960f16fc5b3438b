import type { User } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { useCallback, useEffect, useMemo, useRef, useState } from "react"
import { FOREVER, setConversation } from "../conversations/settings"
import { type Step, stepFrom } from "../logic/shortcuts"
import type { PageActions } from "../palette/actions"
import { rememberOpened } from "../palette/recent"
import { type SignInMode, signOut } from "../session/signOut"
import { useShortcuts } from "../shortcuts/keyboard"
import { words } from "../strings"
import { toast } from "../ui/toast"
import { cycleRegions, focusComposer, focusPeople, focusYou } from "./regions"
import { go } from "./route"

/** A dialog over the page, and the element that takes the focus back. */
export interface Opened {
  what: "palette" | "settings" | "shortcuts" | "account"
  opener: HTMLElement | null
}

/** The overlay to open again after the page has been remounted. */
let reopened: Opened["what"] | null = null

/** A change of language remounts the page: in a wide window the settings stay open. */
export function keepSettingsOpen(): void {
  if (document.querySelector('[data-testid="settings"]')) reopened = "settings"
}

/** The dialogs over the page, and what shortcuts and the palette do. */
export function usePage(props: {
  self: User
  mode: SignInMode
  selected: string | null
  phone: boolean
  wide: boolean
  onLeave: () => void
  onSelect: (conversationId: string, focus: boolean) => void
  onSearch: (scope: { id: string; name: string } | null, query?: string) => void
  onSearchHere: () => void
  onPeople: () => void
  onDetails: () => void
  onNewGroup: (opener: HTMLElement | null) => void
}) {
  const client = useLamplight()
  const latest = useRef(props)
  latest.current = props
  const { selected } = props
  const [opened, setOpened] = useState<Opened | null>(() => {
    const what = reopened
    reopened = null
    return what && { what, opener: null }
  })
  const opener = useRef<HTMLElement | null>(null)

  useEffect(() => {
    if (selected !== null) rememberOpened(selected)
  }, [selected])

  /** A dialog may open another one: the focus returns to its place before the first. */
  const findOpener = useCallback(() => {
    const active = document.activeElement
    if (active instanceof HTMLElement && !active.closest(".dialog")) opener.current = active
    return opener.current
  }, [])

  const open = useCallback(
    (what: Opened["what"], from?: HTMLElement | null) => {
      if (from) opener.current = from
      setOpened({ what, opener: from ?? findOpener() })
    },
    [findOpener],
  )
  const close = useCallback(() => setOpened(null), [])

  const page = useMemo(
    (): PageActions => ({
      newGroup: () => latest.current.onNewGroup(findOpener()),
      settings() {
        if (!latest.current.phone) return open("settings")
        go({ view: "you" })
        focusYou()
      },
      account: props.mode === "local" ? () => open("account") : null,
      shortcuts: () => open("shortcuts"),
      people: () => (latest.current.wide ? focusPeople() : latest.current.onPeople()),
      details: () => latest.current.onDetails(),
      searchHere: () => latest.current.onSearchHere(),
      search: (query) => latest.current.onSearch(null, query),
      markRead() {
        const { selected } = latest.current
        if (selected === null) return
        const conversation = client.conversation(selected)
        conversation.markRead(conversation.item.get()?.headSeq)
      },
      mute() {
        const item = client.conversation(latest.current.selected ?? "").item.get()
        if (!item) return
        void setConversation(client, item.id, { mutedUntil: item.muted ? null : FOREVER })
        toast(item.muted ? words.palette.unmuted : words.palette.muted, { id: "mute" })
      },
      signOut() {
        const { self, mode, onLeave } = latest.current
        void signOut({ client, selfId: self.id, mode, onLeave })
      },
    }),
    [client, open, findOpener, props.mode],
  )

  const step = (by: 1 | -1, unread = false) => {
    const next = stepFrom(steps(client.conversations.get().items), selected, by, unread)
    if (next !== null) props.onSelect(next, true)
  }
  const onThread = (run: () => void) => () => (selected === null ? false : run())
  useShortcuts({
    palette: () => open("palette"),
    shortcuts: page.shortcuts,
    search: () => props.onSearch(null),
    newGroup: page.newGroup,
    nextRegion: () => cycleRegions(false),
    previousRegion: () => cycleRegions(true),
    next: () => step(1),
    previous: () => step(-1),
    nextUnread: () => step(1, true),
    previousUnread: () => step(-1, true),
    markRead: onThread(page.markRead),
    mute: onThread(page.mute),
    composer: onThread(focusComposer),
  })
  return { opened, open, close, page }
}

/** The conversations in the shown order, which may be frozen. */
function steps(items: readonly { id: string; unread: number; muted: boolean }[]): Step[] {
  const rows = document.querySelectorAll<HTMLElement>(
    '[data-testid="conversations"] .row[data-conversation-id]',
  )
  if (rows.length > 0)
    return [...rows].map(({ dataset }) => ({
      id: dataset.conversationId ?? "",
      isUnread: dataset.unread !== undefined && dataset.muted === undefined,
    }))
  return items.map(({ id, unread, muted }) => ({ id, isUnread: unread > 0 && !muted }))
}
