import type { ConversationItem } from "@lamplight/client"
import { useConversations, useOutbox, usePresences } from "@lamplight/react"
import { Archive, ChevronLeft } from "lucide-react"
import { useCallback, useEffect, useMemo, useRef, useState } from "react"
import { useMedia, useToday } from "../app/hooks"
import { useLayer } from "../app/layers"
import { PHONE } from "../design/breakpoints"
import { describeFiles } from "../files/layout"
import { number } from "../languages/format"
import { conversationTitle } from "../logic/members"
import { plainStart } from "../logic/plain"
import { namedUnsent } from "../logic/unsent"
import { useHandles } from "../people/handles"
import { words } from "../strings"
import { Button, IconButton } from "../ui/Button"
import { showFailure } from "../ui/failure"
import { overlay } from "../ui/overlay"
import { useRoving } from "../ui/roving"
import { Skeleton, State } from "../ui/State"
import { ConversationRow } from "./ConversationRow"
import { useFrozenOrder } from "./useFrozenOrder"
import { useRowMenu } from "./useRowMenu"

const ConversationMenu = overlay((overlays) => overlays.ConversationMenu)
const FirstRun = overlay((overlays) => overlays.FirstRun)

interface ListProps {
  mode: "local" | "open" | "token"
  /** On a phone, whether this is the panel that is visible. */
  shown: boolean
  selected: string | null
  selfId: string
  onSelect: (conversationId: string, focus: boolean) => void
  onFind: () => void
}

/** The list of conversations: the pinned ones, then the others, each with the newest first, and the archived ones in a view of their own. */
export function ConversationList(props: ListProps) {
  const { mode, shown, onFind } = props
  const phone = useMedia(PHONE)
  const list = useConversations()
  const [isArchive, setArchive] = useState(false)
  useLayer(() => setArchive(false), isArchive && shown, true)
  /** Back from the archive, the row that led there takes the focus. */
  const entry = useRef<HTMLButtonElement>(null)
  const focus = useRef(false)
  useEffect(() => {
    if (isArchive || !focus.current) return
    focus.current = false
    entry.current?.focus()
  }, [isArchive])

  if (list.status === "loading") return <Skeleton rows={6} kind="list" label={words.list.loading} />
  if (list.status === "error") {
    return (
      <State
        kind="error"
        title={words.list.failed}
        action={
          <Button
            look="line"
            onClick={() => list.reload().catch((thrown) => showFailure(words.list.failed, thrown))}
          >
            {words.list.retry}
          </Button>
        }
      />
    )
  }
  if (isArchive) {
    const back = () => {
      focus.current = true
      setArchive(false)
    }
    return <ArchivedList {...props} items={list.archived} onBack={back} />
  }
  const hasArchive = list.archived.length > 0
  if (list.items.length === 0 && !hasArchive) {
    // Elsewhere the thread beside it says so.
    return phone ? <FirstRun mode={mode} title={words.list.empty} onFind={onFind} /> : null
  }
  return (
    <>
      {(hasArchive || list.hasMore) && (
        <div className="rows-archive">
          <button
            ref={entry}
            type="button"
            className="archive-row"
            data-testid="archive"
            onClick={() => setArchive(true)}
          >
            <Archive size={18} aria-hidden="true" />
            <span className="flex-1">{words.settings.archivedTitle}</span>
            {hasArchive && number(list.archived.length)}
          </button>
        </div>
      )}
      {list.items.length === 0 ? (
        <State kind="empty" title={words.settings.allArchived} lead={words.settings.archivedLead} />
      ) : (
        <Rows {...props} items={list.items} />
      )}
      {list.hasMore && (
        <p className="pb-4 text-center">
          <Button
            look="text"
            disabled={list.loadingMore}
            onClick={() => list.loadMore().catch((thrown) => showFailure(words.list.failed, thrown))}
          >
            {words.list.more}
          </Button>
        </p>
      )}
    </>
  )
}

function ArchivedList(props: ListProps & { items: readonly ConversationItem[]; onBack: () => void }) {
  const { items, onBack } = props
  const { loadArchived } = useConversations()
  const [next, setNext] = useState<string | null | undefined>(undefined)
  const [loading, setLoading] = useState(true)
  /** The cursor of the page that failed to load; null if none failed. */
  const [failed, setFailed] = useState<{ cursor: string | undefined } | null>(null)
  const back = useRef<HTMLButtonElement>(null)

  const load = useCallback(
    async (cursor?: string) => {
      setLoading(true)
      setFailed(null)
      try {
        setNext(await loadArchived(cursor))
      } catch {
        setFailed({ cursor })
      }
      setLoading(false)
    },
    [loadArchived],
  )
  useEffect(() => {
    back.current?.focus()
    void load()
  }, [load])

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape goes back from wherever the focus is in the list
    <div
      data-testid="archived"
      onKeyDown={(event) => {
        if (event.key !== "Escape" || event.defaultPrevented) return
        event.preventDefault()
        onBack()
      }}
    >
      <div className="archive-head">
        <IconButton
          ref={back}
          label={words.settings.archivedBack}
          onClick={onBack}
          data-testid="archive-back"
        >
          <ChevronLeft size={20} aria-hidden="true" />
        </IconButton>
        <h2>{words.settings.archivedTitle}</h2>
      </div>
      {items.length > 0 && <Rows {...props} items={items} />}
      {items.length === 0 && loading && (
        <Skeleton rows={3} kind="list" label={words.settings.archivedLoading} />
      )}
      {failed && (
        <State
          kind="error"
          title={words.settings.archivedFailed}
          action={
            <Button look="line" data-testid="archive-retry" onClick={() => void load(failed.cursor)}>
              {words.list.retry}
            </Button>
          }
        />
      )}
      {items.length === 0 && !loading && !failed && (
        <State
          kind="empty"
          title={words.settings.archivedNone}
          lead={words.settings.archivedLead}
          action={
            <Button look="line" onClick={onBack}>
              {words.settings.archivedBack}
            </Button>
          }
        />
      )}
      {next && !failed && (
        <p className="pb-4 text-center">
          <Button look="text" disabled={loading} onClick={() => void load(next)}>
            {words.list.more}
          </Button>
        </p>
      )}
    </div>
  )
}

/** Rows whose order is frozen while the user points at them or moves through them. */
function Rows({ items, selected, selfId, onSelect }: ListProps & { items: readonly ConversationItem[] }) {
  const byId = useMemo(() => new Map(items.map((item) => [item.id, item])), [items])
  const { ids: order, hold } = useFrozenOrder(items)
  // The user's own action moves a row at once, also while the order is frozen.
  const isPinned = (id: string) => !!byId.get(id)?.pinned && !byId.get(id)?.archived
  const pinned = order.filter(isPinned)
  const others = order.filter((id) => !isPinned(id))
  const ids = [...pinned, ...others]
  const people = useMemo(
    () => [...new Set(items.flatMap((item) => (item.other ? [item.other.id] : [])))].sort(),
    [items],
  )
  const presences = usePresences(people)
  const direct = useMemo(() => items.flatMap(({ other }) => (other ? [other] : [])), [items])
  const handles = useHandles(direct)
  const roving = useRoving(ids, selected)
  const today = useToday()
  const { menu, close, handlers } = useRowMenu()
  const { items: unsent } = useOutbox()
  // The row shows it instead of the last message that was sent.
  const named = useMemo(() => namedUnsent(unsent), [unsent])
  const unsentText = (id: string) => {
    const it = named.get(id)
    return it ? plainStart(it.content, 160) || describeFiles(it.files ?? []) : ""
  }
  const open = useCallback((id: string) => onSelect(id, true), [onSelect])
  const menuItem = menu && byId.get(menu.id)

  const row = (id: string) => {
    const item = byId.get(id)
    return (
      item && (
        <ConversationRow
          key={id}
          item={item}
          presence={item.other ? presences[item.other.id] : undefined}
          unsent={unsentText(id)}
          handle={item.other ? handles.get(item.other.id) : undefined}
          selfId={selfId}
          selected={id === selected}
          tabIndex={roving.tabStop(id)}
          entry={id === roving.current}
          today={today}
          menuOpen={menu?.id === id}
          onOpen={open}
        />
      )
    )
  }
  return (
    <div className="rows" {...hold} {...roving.handlers}>
      <div {...handlers}>
        {pinned.length > 0 && (
          <>
            <h2 className="rows-title" id="pinned-title">
              {words.settings.pinnedTitle}
            </h2>
            <ul aria-labelledby="pinned-title" data-testid="pinned-conversations">
              {pinned.map(row)}
            </ul>
            {others.length > 0 && (
              <h2 className="rows-title" id="others-title">
                {words.settings.othersTitle}
              </h2>
            )}
          </>
        )}
        {others.length > 0 && (
          <ul aria-labelledby={pinned.length > 0 ? "others-title" : undefined}>{others.map(row)}</ul>
        )}
      </div>
      {menu && menuItem && (
        <ConversationMenu
          key={`${menu.id} ${menu.x} ${menu.y}`}
          item={menuItem}
          name={conversationTitle(menuItem, selfId) || menuItem.id}
          at={menu}
          trigger={() => document.querySelector(`[data-menu-of="${CSS.escape(menu.id)}"]`)}
          onClose={close}
        />
      )}
    </div>
  )
}
