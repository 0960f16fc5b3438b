/** Notifications: one for each conversation, and each message once. */
import { isLanguage, systemLanguage } from "../languages/choice"
import { type NoticeWords, noticeWords } from "../languages/notices"
import { ownPicture, safePicture } from "../logic/picture"
import { plainText } from "../logic/plain"
import { chosenLanguage, isSeen, owner, setSeen } from "./memory"
import { type Notice, PAGE, type Read, type ToPage } from "./messages"

declare const self: ServiceWorkerGlobalScope

/** So many messages of a conversation are listed in its notification. */
const LINES = 4
/** The tag of what this build does not know. Not empty: that would stand for all notifications where they are looked for. */
const SOMETHING = "lamplight:something"
/** A window that takes longer than this to answer is not looked at. */
const ANSWER_MS = 500

/** What a notification carries. */
interface Shown {
  conversationId: string
  /** The newest first. */
  messages: { seq: number; line: string }[]
  count: number
}

/** The texts in the user's language. */
async function texts(): Promise<NoticeWords> {
  const chosen = await chosenLanguage()
  const wanted = self.navigator.languages
  return noticeWords(isLanguage(chosen) ? chosen : systemLanguage(wanted), wanted)
}

/**
 * Runs one task after another. Two pushes at once must not both find that a message was not shown. And while Chromium shows a
 * notification, `getNotifications` must not run, here or in a page: it deletes the stored copy of what is not on the screen yet,
 * and a press on that notification then does nothing.
 */
let last: Promise<unknown> = Promise.resolve()
export function inOrder<T>(work: () => Promise<T>): Promise<T> {
  const next = last.then(work, work)
  last = next.catch(() => {})
  return next
}

/** Reads a push; null: not one that this build knows. */
export function parseNotice(text: string): Notice | null {
  try {
    const { v, kind, ...notice } = JSON.parse(text) as Notice & { v: number; kind: string }
    const isKnown = v === 1 && kind === "message"
    return isKnown && typeof notice.conversationId === "string" && typeof notice.messageId === "string"
      ? notice
      : null
  } catch {
    return null
  }
}

/** Shows what was pushed. */
export async function receive(text: string): Promise<void> {
  // It was sent before the user signed out, and is not shown.
  if (!(await owner())) {
    await (await self.registration.pushManager.getSubscription())?.unsubscribe()
    return
  }
  const notice = parseNotice(text)
  if (notice) return notify(notice)
  // A browser shows a text of its own for a push that shows nothing.
  const words = await texts()
  await self.registration.showNotification(words.product, { body: words.something, tag: SOMETHING })
}

/** Shows a message, unless it was shown or the user is looking at its conversation. */
export async function notify(notice: Notice): Promise<void> {
  if (await isSeen(notice.messageId)) return
  setBadge(notice.unread)
  if (!(await isViewed(notice.conversationId))) await show(notice)
  // Afterwards: a worker that is stopped in between shows it twice, in one place, rather than never.
  await setSeen(notice.messageId)
}

async function isViewed(conversationId: string): Promise<boolean> {
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true })
  const visible = windows.filter(({ visibilityState }) => visibilityState === "visible")
  const answers = await Promise.all(visible.map((one) => ask(one, { type: "looking" })))
  return answers.includes(conversationId)
}

/** Asks a window; null: no answer. */
function ask(client: WindowClient, question: ToPage): Promise<unknown> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = ({ data }) => resolve(data)
    setTimeout(() => resolve(null), ANSWER_MS)
    client.postMessage(question, [port2])
  })
}

async function show(notice: Notice): Promise<void> {
  const { conversationId, conversationName, senderName, avatarUrl, seq, createdAt } = notice
  const before = (await self.registration.getNotifications({ tag: conversationId }))[0]?.data as
    | Shown
    | undefined
  const words = await texts()
  const line = lineOf(notice, words)
  const shown: Shown = {
    conversationId,
    messages: [{ seq, line }, ...(before?.messages ?? [])].sort((one, other) => other.seq - one.seq),
    count: (before?.count ?? 0) + 1,
  }
  shown.messages.length = Math.min(shown.messages.length, LINES)
  const who = conversationName ?? senderName
  const hasContent = who !== undefined
  const body = hasContent
    ? shown.messages.map((message) => message.line).join("\n")
    : words.messages(shown.count)
  // No policy of the page holds here. With accounts of this server, users choose the address of their picture.
  const picture = (await owner())?.hasCookie ? ownPicture : safePicture
  const options: NotificationOptions & { renotify: boolean; timestamp: number } = {
    body,
    tag: conversationId,
    renotify: true,
    icon: picture(avatarUrl, self.location.href) ?? `${PAGE}/icons/icon-192.png`,
    badge: `${PAGE}/icons/badge-96.png`,
    data: shown,
    timestamp: Date.parse(createdAt) || Date.now(),
  }
  const title = !hasContent ? words.product : shown.count > 1 ? words.several(who, shown.count) : who
  await self.registration.showNotification(title, options)
}

/** What a message says in one line; in a group also who says it. */
function lineOf(notice: Notice, words: NoticeWords): string {
  const { text, attachment, senderName, conversationName } = notice
  const kind = attachment?.type.split("/")[0]
  const named = attachment
    ? kind === "image"
      ? words.photo
      : kind === "video"
        ? words.video
        : attachment.name
    : words.messages(1)
  const what =
    plainText(text ?? "")
      .replace(/\s+/g, " ")
      .trim() || named
  return conversationName && senderName ? words.by(senderName, what) : what
}

/** The number on the icon of the installed app, where there is one. */
export function setBadge(unread: number | undefined): void {
  if (unread === undefined || !("setAppBadge" in navigator)) return
  const done = unread > 0 ? navigator.setAppBadge(unread) : navigator.clearAppBadge()
  done.catch(() => {})
}

/** The tags of all notifications. */
export async function shownTags(): Promise<string[]> {
  return (await self.registration.getNotifications()).map(({ tag }) => tag)
}

/** Closes the notifications of what was read. A message that came after it was read keeps its notification. */
export async function closeRead(read: Read[]): Promise<void> {
  const upTo = new Map(read.map((one) => [one.conversationId, one.upTo]))
  for (const one of await self.registration.getNotifications()) {
    const newest = (one.data as Shown | undefined)?.messages?.[0]?.seq ?? 0
    if (newest <= (upTo.get(one.tag) ?? -1)) one.close()
  }
}

/** Closes all notifications. */
export async function closeAll(): Promise<void> {
  for (const one of await self.registration.getNotifications()) one.close()
  setBadge(0)
}

/** Leads to the message, in a window that is open, or in a new one. */
export async function openFrom(notification: Notification): Promise<void> {
  const shown = notification.data as Shown | undefined
  notification.close()
  // The first of several, so that reading continues from there.
  const seq = shown?.count === 1 ? (shown.messages[0]?.seq ?? 0) : (shown?.messages.at(-1)?.seq ?? 0)
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true })
  const own = windows.filter(({ url }) => new URL(url).pathname === PAGE)
  const best =
    own.find(({ focused }) => focused) ??
    own.find(({ visibilityState }) => visibilityState === "visible") ??
    own[0]
  if (best) {
    if (shown) {
      const message: ToPage = { type: "open", conversationId: shown.conversationId, seq }
      best.postMessage(message)
    }
    // A browser may refuse; the window shows it all the same.
    await best.focus().catch(() => {})
    return
  }
  const hash = shown ? `#/c/${encodeURIComponent(shown.conversationId)}/${seq}` : ""
  await self.clients.openWindow(PAGE + hash)
}
