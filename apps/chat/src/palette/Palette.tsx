/** Opens conversations, people and messages and runs actions, by name. Loaded when it is first opened. */
import type { User } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { Search } from "lucide-react"
import { Dialog } from "radix-ui"
import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from "react"
import { useMedia } from "../app/hooks"
import { useLayer } from "../app/layers"
import { PHONE } from "../design/breakpoints"
import { useHandles } from "../people/handles"
import { isMac, isShortcut } from "../shortcuts/keyboard"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { showFailure } from "../ui/failure"
import { type PageActions, paletteActions } from "./actions"
import { EntryRow } from "./EntryRow"
import { type Entry, personOf, usePaletteEntries } from "./usePaletteEntries"

/** The server's limit for a query. */
const MAX_QUERY = 200

export function Palette(props: {
  self: User
  selected: string | null
  page: PageActions
  /** The element that takes the focus back. */
  opener: HTMLElement | null
  onSelect: (conversationId: string, focus: boolean) => void
  onShow: (conversationId: string, seq: number) => void
  onClose: () => void
}) {
  const { self, selected, page, opener, onSelect, onShow, onClose } = props
  const client = useLamplight()
  const isPhone = useMedia(PHONE)
  const [query, setQuery] = useState("")
  /** The entry that the user has moved to; null: the first one. */
  const [active, setActive] = useState<string | null>(null)
  const [opening, setOpening] = useState(false)
  const id = useId()
  const list = useRef<HTMLDivElement>(null)
  const movedFocus = useRef(false)
  const isOpen = useRef(true)
  useLayer(onClose)
  useEffect(() => {
    isOpen.current = true
    return () => {
      isOpen.current = false
    }
  }, [])

  // As they were when it opened: entries must not change under the user's finger.
  const actions = useMemo(() => {
    const item = selected === null ? null : client.conversation(selected).item.get()
    // The connection may be lost before the user chooses an entry.
    if (item) void client.conversation(item.id).setSettings({})
    return paletteActions(client, item, client.me.get().chosen, page)
  }, [client, selected, page])
  const { sections, isLoading, isFailed, retry } = usePaletteEntries({ query, self, selected, actions })
  const entries = useMemo(() => sections.flatMap((section) => section.entries), [sections])
  const handles = useHandles(useMemo(() => entries.flatMap((entry) => personOf(entry) ?? []), [entries]))
  const found = entries.filter(({ kind }) => kind !== "search").length
  const at = Math.max(
    0,
    entries.findIndex(({ key }) => key === active),
  )
  const current = entries[at]
  const rowId = (key: string) => `${id}-${entries.findIndex((entry) => entry.key === key)}`

  // biome-ignore lint/correctness/useExhaustiveDependencies: whenever another one is current
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" })
  }, [current?.key])

  /** Closes, and returns the focus unless another element takes it. */
  function close(moves: boolean) {
    movedFocus.current = moves
    onClose()
  }

  function take(entry: Entry) {
    if (entry.kind === "conversation") {
      close(true)
      onSelect(entry.item.id, true)
    } else if (entry.kind === "message") {
      close(true)
      onShow(entry.hit.message.conversationId, entry.hit.message.seq)
    } else if (entry.kind === "search") {
      close(true)
      page.search(entry.query)
    } else if (entry.kind === "action") {
      close(entry.action.movesFocus ?? false)
      entry.action.run()
    } else void write(entry.user)
  }

  async function write(user: User) {
    if (opening) return
    setOpening(true)
    try {
      const conversation = await client.openConversation(user.id)
      // The palette was closed meanwhile: the user has moved on.
      if (!isOpen.current) return
      close(true)
      onSelect(conversation.id, true)
    } catch (thrown) {
      setOpening(false)
      showFailure(words.people.startFailed, thrown)
    }
  }

  function onKeyDown(event: KeyboardEvent<HTMLInputElement>) {
    if (event.nativeEvent.isComposing || event.keyCode === 229) return
    const step = stepOf(event)
    if (step !== 0 && entries.length > 0) {
      event.preventDefault()
      setActive(entries[(at + step + entries.length) % entries.length]?.key ?? null)
    } else if (event.key === "Enter" && current) {
      event.preventDefault()
      take(current)
    } else if (isShortcut(event.nativeEvent, "palette")) {
      event.preventDefault()
      close(false)
    }
  }

  return (
    <Dialog.Root open onOpenChange={(open) => open || close(false)}>
      <Dialog.Portal>
        <Dialog.Overlay className="dialog-overlay" />
        <Dialog.Content
          className="dialog palette"
          data-testid="palette"
          aria-describedby={undefined}
          onCloseAutoFocus={(event) => {
            event.preventDefault()
            if (!movedFocus.current && opener?.isConnected) opener.focus({ preventScroll: true })
          }}
        >
          <Dialog.Title className="sr-only">{words.palette.title}</Dialog.Title>
          <div className="palette-field">
            <Search size={18} aria-hidden="true" />
            <input
              type="text"
              role="combobox"
              data-testid="palette-field"
              aria-label={words.palette.field}
              aria-expanded={entries.length > 0}
              aria-controls={`${id}-list`}
              aria-autocomplete="list"
              aria-activedescendant={current ? rowId(current.key) : undefined}
              placeholder={isPhone ? words.palette.fieldShort : words.palette.field}
              autoComplete="off"
              autoCapitalize="none"
              spellCheck={false}
              enterKeyHint="go"
              dir="auto"
              maxLength={MAX_QUERY}
              value={query}
              onChange={(event) => {
                setQuery(event.target.value)
                setActive(null)
              }}
              onKeyDown={onKeyDown}
            />
            <Dialog.Close className="palette-close">{words.palette.close}</Dialog.Close>
          </div>
          <p className="sr-only" role="status" data-testid="palette-status">
            {isLoading ? words.palette.loading : query.trim() ? words.palette.found(found) : ""}
          </p>
          <div className="palette-scroller" ref={list}>
            {query.trim() && found === 0 && !isLoading && (
              <p className="palette-empty">{words.palette.none(query.trim())}</p>
            )}
            <div id={`${id}-list`} role="listbox" aria-label={words.palette.title} aria-busy={isLoading}>
              {sections.map((section) => (
                // biome-ignore lint/a11y/useSemanticElements: a fieldset has no place in a listbox
                <div key={section.key} role="group" aria-labelledby={`${id}-${section.key}`}>
                  <div className="palette-title" id={`${id}-${section.key}`} role="presentation">
                    {section.title}
                  </div>
                  {section.entries.map((entry) => (
                    <EntryRow
                      key={entry.key}
                      id={rowId(entry.key)}
                      entry={entry}
                      self={self}
                      handles={handles}
                      isCurrent={entry === current}
                      isBusy={opening && entry === current}
                      onPoint={() => setActive(entry.key)}
                      onTake={() => take(entry)}
                    />
                  ))}
                </div>
              ))}
            </div>
            {isLoading && <p className="palette-note">{words.palette.loading}</p>}
            {isFailed && (
              <div className="palette-note" role="alert">
                {words.palette.failed}
                <Button look="text" onClick={retry}>
                  {words.list.retry}
                </Button>
              </div>
            )}
          </div>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

/** Arrows, and on a Mac Control with N and P, which move so in every text field. */
function stepOf({ key, ctrlKey, metaKey, altKey, shiftKey }: KeyboardEvent): number {
  if (metaKey || altKey || shiftKey) return 0
  if (ctrlKey) return isMac && key === "n" ? 1 : isMac && key === "p" ? -1 : 0
  return key === "ArrowDown" ? 1 : key === "ArrowUp" ? -1 : 0
}
