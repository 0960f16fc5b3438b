import type { ChosenStatus, ConversationInfo, Lamplight, MeState } from "@lamplight/client"
import type { LucideIcon } from "lucide-react"
import {
  Archive,
  ArchiveRestore,
  Bell,
  BellOff,
  CheckCheck,
  Info,
  Keyboard,
  LogOut,
  MessageCirclePlus,
  Moon,
  Pin,
  PinOff,
  Search,
  Settings,
  Sun,
  SunMoon,
  UserRound,
  UsersRound,
} from "lucide-react"
import { setTheme, type ThemeChoice } from "../app/theme"
import { setConversation } from "../conversations/settings"
import type { ShortcutId } from "../shortcuts/registry"
import { words } from "../strings"
import { showFailure } from "../ui/failure"

/** An action of the palette. */
export interface PaletteAction {
  key: string
  label: string
  /** Other words that find it, with commas. */
  also: string
  icon: LucideIcon | ChosenStatus
  shortcut?: ShortcutId
  /** Whether the opened view takes the focus, so that the focus does not return. */
  movesFocus?: true
  run: () => void
}

/** The page's actions for the palette and for shortcuts. */
export interface PageActions {
  newGroup: () => void
  settings: () => void
  /** Null: without accounts. */
  account: (() => void) | null
  shortcuts: () => void
  people: () => void
  details: () => void
  searchHere: () => void
  /** Searches all messages. */
  search: (query: string) => void
  markRead: () => void
  mute: () => void
  signOut: () => void
}

const statuses: readonly ChosenStatus[] = ["online", "away", "busy", "invisible"]
const themes: readonly { theme: ThemeChoice; icon: LucideIcon }[] = [
  { theme: "light", icon: Sun },
  { theme: "dark", icon: Moon },
  { theme: "system", icon: SunMoon },
]

/** The actions that are possible now, those on the conversation first. */
export function paletteActions(
  client: Lamplight,
  item: ConversationInfo | null,
  chosen: MeState["chosen"],
  page: PageActions,
): PaletteAction[] {
  const { also } = words.palette
  return [
    ...(item ? onConversation(client, item, page) : []),
    {
      key: "group",
      label: words.groups.open,
      also: also.group,
      icon: MessageCirclePlus,
      shortcut: "newGroup",
      movesFocus: true,
      run: page.newGroup,
    },
    {
      key: "people",
      label: words.people.search,
      also: also.people,
      icon: UsersRound,
      movesFocus: true,
      run: page.people,
    },
    ...onStatus(client, chosen),
    ...themes.map(({ theme, icon }) => ({
      key: `theme-${theme}`,
      label: words.palette.themes[theme],
      also: also.theme,
      icon,
      run: () => setTheme(theme),
    })),
    {
      key: "settings",
      label: words.preferences.title,
      also: also.settings,
      icon: Settings,
      movesFocus: true,
      run: page.settings,
    },
    ...(page.account ? [onAccount(page.account)] : []),
    {
      key: "shortcuts",
      label: words.shortcuts.title,
      also: also.shortcuts,
      icon: Keyboard,
      shortcut: "shortcuts",
      movesFocus: true,
      run: page.shortcuts,
    },
    {
      key: "out",
      label: page.account ? words.status.signOut : words.status.switchUser,
      also: also.out,
      icon: LogOut,
      movesFocus: true,
      run: page.signOut,
    },
  ]
}

const onAccount = (run: () => void): PaletteAction => ({
  key: "account",
  label: words.account.title,
  also: words.palette.also.account,
  icon: UserRound,
  movesFocus: true,
  run,
})

function onStatus(client: Lamplight, chosen: MeState["chosen"]): PaletteAction[] {
  const set = (to: ChosenStatus) => {
    client
      .setStatus(to, chosen.text ? { text: chosen.text } : {})
      .catch((thrown: unknown) => showFailure(words.errors.status, thrown))
  }
  return statuses
    .filter((one) => one !== chosen.status)
    .map((one) => ({
      key: `status-${one}`,
      label: words.palette.setStatus(words.presence[one]),
      also: words.palette.also.status,
      icon: one,
      run: () => set(one),
    }))
}

function onConversation(client: Lamplight, item: ConversationInfo, page: PageActions): PaletteAction[] {
  const text = words.palette
  const { also } = text
  const set = (change: Parameters<typeof setConversation>[2]) => () =>
    void setConversation(client, item.id, change)
  const all: PaletteAction[] = [
    {
      key: "read",
      label: words.shortcuts.names.markRead,
      also: also.read,
      icon: CheckCheck,
      shortcut: "markRead",
      run: page.markRead,
    },
    {
      key: "mute",
      label: item.muted ? text.unmute : text.mute,
      also: also.mute,
      icon: item.muted ? Bell : BellOff,
      shortcut: "mute",
      run: page.mute,
    },
    {
      key: "pin",
      label: item.pinned ? text.unpin : text.pin,
      also: also.pin,
      icon: item.pinned ? PinOff : Pin,
      run: set({ pinned: !item.pinned }),
    },
    {
      key: "archive",
      label: item.archived ? text.unarchive : text.archive,
      also: also.archive,
      icon: item.archived ? ArchiveRestore : Archive,
      run: set({ archived: !item.archived }),
    },
    {
      key: "details",
      label: text.details,
      also: also.details,
      icon: Info,
      movesFocus: true,
      run: page.details,
    },
    {
      key: "search-here",
      label: words.search.here,
      also: "",
      icon: Search,
      movesFocus: true,
      run: page.searchHere,
    },
  ]
  return item.unread > 0 ? all : all.slice(1)
}
