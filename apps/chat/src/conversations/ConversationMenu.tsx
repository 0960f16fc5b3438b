import type { ConversationInfo, SettingsChange } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { Archive, ArchiveRestore, Bell, BellOff, CalendarSearch, Pin, PinOff, Search } from "lucide-react"
import { DropdownMenu } from "radix-ui"
import { type ReactNode, useEffect, useRef } from "react"
import { useMedia } from "../app/hooks"
import { useLayer } from "../app/layers"
import { PHONE } from "../design/breakpoints"
import { words } from "../strings"
import { mutedUntil } from "./muted"
import { FOREVER, setConversation } from "./settings"

const HOUR_MS = 3_600_000

/** Where the menu opens: in the window's coordinates. */
export interface MenuPlace {
  x: number
  y: number
}

/** The user's settings of a conversation: pinned, muted, archived. */
export default function ConversationMenu(props: {
  item: ConversationInfo
  name: string
  at: MenuPlace
  align?: "start" | "end"
  /** In the thread, for a phone, whose header has no place for it beside pinned messages. */
  onSearch?: () => void
  /** In the thread: asks for a day to go to. */
  onDate?: () => void
  /** The button that opened it, which closes it by itself. */
  trigger?: () => Element | null | undefined
  /** Called after it closed. `takesFocus`: not after a press elsewhere, which has moved the focus. */
  onClose: (takesFocus: boolean) => void
}) {
  const { item, name, at, align = "start", onSearch, onDate, trigger, onClose } = props
  const client = useLamplight()
  const isPhone = useMedia(PHONE)
  const isOutside = useRef(false)
  useLayer(() => onClose(true))

  // The connection may be lost before the user chooses an item.
  useEffect(() => void client.conversation(item.id).setSettings({}), [client, item.id])

  const set = (change: SettingsChange) => setConversation(client, item.id, change)

  const muteFor = (hours: number) => set({ mutedUntil: new Date(Date.now() + hours * HOUR_MS).toISOString() })

  const entry = (icon: ReactNode, label: string, run: () => void) => (
    <DropdownMenu.Item className="menu-item" onSelect={run}>
      {icon}
      {label}
    </DropdownMenu.Item>
  )
  return (
    <DropdownMenu.Root
      defaultOpen
      modal={false}
      onOpenChange={(open) => !open && onClose(!isOutside.current)}
    >
      <DropdownMenu.Trigger asChild>
        <span className="menu-place" style={{ left: at.x, top: at.y }} aria-hidden="true" tabIndex={-1} />
      </DropdownMenu.Trigger>
      {/* Within a landmark, as assistive technology expects of all content. */}
      <DropdownMenu.Portal container={document.querySelector("main")}>
        <DropdownMenu.Content
          className="menu conversation-menu"
          data-testid="conversation-settings"
          align={align}
          sideOffset={4}
          collisionPadding={12}
          aria-label={words.settings.label(name)}
          onInteractOutside={(event) => {
            if (trigger?.()?.contains(event.target as Node)) event.preventDefault()
            else isOutside.current = true
          }}
          onCloseAutoFocus={(event) => event.preventDefault()}
        >
          {item.pinned
            ? entry(<PinOff size={17} aria-hidden="true" />, words.settings.unpin, () =>
                set({ pinned: false }),
              )
            : entry(<Pin size={17} aria-hidden="true" />, words.settings.pin, () => set({ pinned: true }))}
          {item.archived
            ? entry(<ArchiveRestore size={17} aria-hidden="true" />, words.settings.unarchive, () =>
                set({ archived: false }),
              )
            : entry(<Archive size={17} aria-hidden="true" />, words.settings.archive, () =>
                set({ archived: true }),
              )}
          {isPhone && onSearch && entry(<Search size={17} aria-hidden="true" />, words.search.here, onSearch)}
          {onDate && entry(<CalendarSearch size={17} aria-hidden="true" />, words.thread.toDate, onDate)}
          <DropdownMenu.Separator className="menu-line" />
          {item.muted ? (
            <>
              <DropdownMenu.Label className="menu-label">
                {mutedUntil(item) ?? words.settings.muted}
              </DropdownMenu.Label>
              {entry(<Bell size={17} aria-hidden="true" />, words.settings.unmute, () =>
                set({ mutedUntil: null }),
              )}
            </>
          ) : (
            <>
              {entry(<BellOff size={17} aria-hidden="true" />, words.settings.muteHour, () => muteFor(1))}
              {entry(<BellOff size={17} aria-hidden="true" />, words.settings.muteHours(8), () => muteFor(8))}
              {entry(<BellOff size={17} aria-hidden="true" />, words.settings.mute, () =>
                set({ mutedUntil: FOREVER }),
              )}
            </>
          )}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}
