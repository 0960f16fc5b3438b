import type { ConversationItem, Lamplight, User } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { useEffect, useRef } from "react"
import { describeFiles } from "../files/layout"
import { conversationTitle, nameOf } from "../logic/members"
import { plainStart } from "../logic/plain"
import { words } from "../strings"
import { MESSAGES, type SavedConversation, type SavedThread, save, TEXT } from "./copy"

/** Changes are saved this long after the first of them. */
const PAUSE_MS = 2_000

/** Saves the data that the user sees, to read without a server. */
export default function KeepCopy({ self, selected }: { self: User; selected: string | null }) {
  const client = useLamplight()
  /** The conversations that were opened since the page loaded. */
  const opened = useRef(new Set<string>())
  if (selected !== null) opened.current.add(selected)
  /** The rows of each as they were saved last. */
  const written = useRef(new Map<string, unknown>())
  const user = useRef(self)
  user.current = self

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | null = null
    const write = () => {
      timer = null
      const { status, items, archived } = client.conversations.get()
      // Data shown without a connection is the copy itself, or older.
      if (client.connection.get().status !== "connected" || status !== "ready") return
      if (client.me.get().user?.id !== user.current.id) return
      const { id } = user.current
      const rowsOf = (one: string) => client.conversation(one).messages.get().rows
      const changed = [...opened.current].filter((one) => written.current.get(one) !== rowsOf(one))
      const rows = changed.map((one) => [one, rowsOf(one)] as const)
      const threads = changed.flatMap((one) => threadOf(client, [...items, ...archived], one, id) ?? [])
      const conversations = items.map((item) => summary(item, id))
      save({ userId: id, at: Date.now(), conversations }, threads)
        .then(() => {
          for (const [one, saved] of rows)
            if (threads.some((thread) => thread.id === one)) written.current.set(one, saved)
        })
        .catch(() => {})
    }
    const later = () => {
      timer ??= setTimeout(write, PAUSE_MS)
    }
    const stops = [client.conversations.subscribe(later), client.connection.subscribe(later)]
    if (selected !== null) stops.push(client.conversation(selected).messages.subscribe(later))
    later()
    return () => {
      for (const stop of stops) stop()
      if (timer !== null) clearTimeout(timer)
    }
  }, [client, selected])
  return null
}

function summary(item: ConversationItem, selfId: string): SavedConversation {
  const { id, other, lastMessage, createdAt, unread, headSeq } = item
  return {
    id,
    title: (other ? nameOf(other) : conversationTitle(item, selfId)) || id,
    otherId: other?.id ?? null,
    last: plainStart(lastMessage?.content ?? "", 160) || describeFiles(lastMessage?.attachments ?? []),
    at: lastMessage?.createdAt ?? createdAt,
    unread,
    headSeq,
  }
}

/** The end of a thread; null where it is not loaded. */
function threadOf(
  client: Lamplight,
  items: readonly ConversationItem[],
  id: string,
  selfId: string,
): SavedThread | null {
  const { rows, users, status, hasNewer, headSeq } = client.conversation(id).messages.get()
  const item = items.find((one) => one.id === id)
  if (!item || status !== "ready" || hasNewer || headSeq < item.headSeq) return null
  const names = new Map([...Object.values(users), ...item.members].map((user) => [user.id, nameOf(user)]))
  const messages = rows
    .filter(({ seq, state }) => seq !== null && state === "sent")
    .slice(-MESSAGES)
    .map(({ key, senderId, mine, content, createdAt, deletedAt, attachments }) => ({
      key,
      author: senderId === selfId ? words.thread.you : (names.get(senderId) ?? words.thread.unknownMember),
      mine,
      text:
        deletedAt === null
          ? [describeFiles(attachments), content.slice(0, TEXT)].filter(Boolean).join("\n")
          : words.message.deleted,
      createdAt,
    }))
  return { id, headSeq: item.headSeq, messages }
}
