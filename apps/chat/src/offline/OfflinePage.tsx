import { indexedDbStorage, type OutboxRecord } from "@lamplight/client"
import { ChevronLeft } from "lucide-react"
import { type ReactNode, useEffect, useState } from "react"
import { useToday } from "../app/hooks"
import { go, goBack, useRoute } from "../app/route"
import { dayKey } from "../logic/days"
import { dirOfText } from "../logic/direction"
import { clock, dayTitle, listTime, moment } from "../logic/time"
import { badge } from "../logic/title"
import { PresenceIcon } from "../presence/PresenceIcon"
import { ServerUnreachable } from "../session/SignInPage"
import { words } from "../strings"
import { Content } from "../thread/Content"
import { Folded } from "../thread/Folded"
import { Avatar } from "../ui/Avatar"
import { IconButton } from "../ui/Button"
import { State } from "../ui/State"
import { readCopy, readThread, type Saved, type SavedMessage, type SavedThread } from "./copy"

const text = words.offline

/** The storage in which the client of this page stores unsent messages. */
const CLIENT = "lamplight:own"

/** The page while the server is away: the data saved on this device, read-only, or a notice that there is none. */
export default function OfflinePage({ onRetry }: { onRetry: (isQuiet: boolean) => void }) {
  const [copy, setCopy] = useState<Saved | null | undefined>(undefined)
  const [unsent, setUnsent] = useState<readonly OutboxRecord[]>([])
  useEffect(() => {
    let isMounted = true
    const read = async () => {
      const saved = await readCopy()
      const storage = indexedDbStorage(CLIENT)
      const records = saved ? await storage.outbox(saved.userId).catch(() => []) : []
      storage.close?.()
      if (!isMounted) return
      setUnsent(records.filter(({ write }) => !write))
      setCopy(saved)
    }
    read().catch(() => isMounted && setCopy(null))
    return () => {
      isMounted = false
    }
  }, [])
  if (copy === undefined) return null
  return copy ? (
    <Copy copy={copy} unsent={unsent} onRetry={() => onRetry(true)} />
  ) : (
    <ServerUnreachable onRetry={() => onRetry(false)} />
  )
}

function Copy(props: { copy: Saved; unsent: readonly OutboxRecord[]; onRetry: () => void }) {
  const { copy, unsent, onRetry } = props
  const route = useRoute()
  const today = useToday()
  const selected = route.view === "thread" ? route.conversationId : null
  const shown = copy.conversations.find(({ id }) => id === selected)
  return (
    <div className="shell" data-testid="offline">
      <section className="banner" data-testid="connection-banner" aria-label={words.banner.region}>
        <strong role="status">{text.title}</strong>
        <span>{text.saved(listTime(new Date(copy.at), today, words.time))}</span>
        <button type="button" onClick={onRetry}>
          {words.banner.tryNow}
        </button>
        {unsent.length > 0 && (
          <span data-testid="outbox-count">{words.banner.waiting(unsent.length, 0)}</span>
        )}
      </section>
      <main className="panels panels-offline">
        <h1 className="sr-only">{words.product}</h1>
        <nav className="panel" data-shown={selected === null} aria-label={words.regions.conversations}>
          <header className="panel-head">
            <p className="wordmark">
              <PresenceIcon state="offline" size={20} />
              {words.product}
            </p>
          </header>
          <div className="scroller">
            {copy.conversations.length === 0 && <State kind="empty" title={words.list.empty} />}
            <ul className="rows">
              {copy.conversations.map((item) => (
                <li key={item.id}>
                  <button
                    type="button"
                    className="row"
                    data-testid="conversation-item"
                    data-unread={item.unread || undefined}
                    aria-current={item.id === selected ? "true" : undefined}
                    onClick={() => go({ view: "thread", conversationId: item.id })}
                  >
                    <Avatar id={item.otherId ?? item.id} name={item.title} size="lg" />
                    <span className="row-text">
                      <span className="row-line">
                        <span className="row-name" dir="auto">
                          {item.title}
                        </span>
                        <time className="row-time" dateTime={item.at}>
                          {listTime(new Date(item.at), today, words.time)}
                        </time>
                      </span>
                      <span className="row-line">
                        <span className="row-preview" dir="auto">
                          {item.last.replace(/\s+/g, " ")}
                        </span>
                        {item.unread > 0 && (
                          <span className="unread-badge">
                            <span aria-hidden="true">{badge(item.unread)}</span>
                            <span className="sr-only">, {words.list.unread(item.unread)}</span>
                          </span>
                        )}
                      </span>
                    </span>
                  </button>
                </li>
              ))}
            </ul>
          </div>
        </nav>
        <section
          className="panel panel-thread"
          data-shown={selected !== null}
          data-testid="thread"
          aria-label={words.regions.thread}
        >
          {selected === null ? (
            <State kind="empty" size="page" title={text.choose} lead={text.lead} />
          ) : (
            <>
              <header className="panel-head thread-head">
                <IconButton label={words.regions.back} className="only-phone back" onClick={goBack}>
                  <ChevronLeft size={24} aria-hidden="true" />
                </IconButton>
                {shown && <Avatar id={shown.otherId ?? shown.id} name={shown.title} />}
                <h2 className="panel-title truncate" dir="auto" data-testid="thread-name">
                  {shown?.title ?? ""}
                </h2>
              </header>
              <Thread
                key={selected}
                id={selected}
                today={today}
                unsent={unsent.filter(({ conversationId }) => conversationId === selected)}
              />
              <p className="offline-note">{text.lead}</p>
            </>
          )}
        </section>
      </main>
    </div>
  )
}

function Thread({ id, today, unsent }: { id: string; today: Date; unsent: readonly OutboxRecord[] }) {
  const [thread, setThread] = useState<SavedThread | null | undefined>(undefined)
  useEffect(() => {
    let isMounted = true
    const set = (found: SavedThread | null) => {
      if (isMounted) setThread(found)
    }
    readThread(id).then(set, () => set(null))
    return () => {
      isMounted = false
    }
  }, [id])
  if (thread === undefined) return <div className="log-frame" />
  if (thread === null && unsent.length === 0)
    return (
      <div className="log-frame">
        <State kind="empty" size="page" title={text.none} />
      </div>
    )
  const waiting = unsent.map((record) => ({
    key: record.clientMessageId,
    author: words.thread.you,
    mine: true,
    text: record.content,
    createdAt: record.createdAt,
    state: "sending",
  }))
  return <Messages today={today} messages={[...(thread?.messages ?? []), ...waiting]} />
}

const noMentions: readonly string[] = []

type Shown = SavedMessage & { state?: string }

function Messages({ messages, today }: { messages: readonly Shown[]; today: Date }) {
  const rows: ReactNode[] = []
  let before: Shown | null = null
  for (const message of messages) {
    const at = new Date(message.createdAt)
    const isNewDay = !before || dayKey(new Date(before.createdAt)) !== dayKey(at)
    if (isNewDay)
      rows.push(
        <h3 key={`day-${message.key}`} className="day">
          {dayTitle(at, today, words.time)}
        </h3>,
      )
    const isFirst = isNewDay || before?.author !== message.author
    if (isFirst)
      rows.push(
        <p key={`head-${message.key}`} className="group-head" data-own={message.mine ? "" : undefined}>
          <span className={message.mine ? "sr-only" : "group-name"} dir="auto">
            {message.author}
          </span>
          <time className="group-time" dateTime={message.createdAt} title={moment(at)}>
            {clock(at)}
          </time>
        </p>,
      )
    rows.push(
      <article
        key={message.key}
        className="message"
        data-testid="message"
        data-own={message.mine ? "" : undefined}
        data-state={message.state ?? "sent"}
        data-first={isFirst ? "" : undefined}
        data-last=""
      >
        <div className="bubble-line">
          <div className="bubble" dir={dirOfText(message.text)}>
            <Folded id={message.key} text={message.text}>
              <Content text={message.text} mentions={noMentions} />
            </Folded>
          </div>
          {message.state && <span className="message-side">{words.message.waiting.connection}</span>}
        </div>
      </article>,
    )
    before = message
  }
  return (
    <div className="log-frame">
      <div
        className="log offline-log"
        role="log"
        aria-live="off"
        aria-label={words.regions.thread}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls by the keyboard
        tabIndex={0}
        ref={toEnd}
      >
        {rows}
      </div>
    </div>
  )
}

function toEnd(log: HTMLElement | null) {
  if (log) log.scrollTop = log.scrollHeight
}
