// Compares the users' actions, the pages, the server's answers and the database.
import { expect } from "vitest"
import type { Ledger, Sent } from "./ledger"
import type { Message, Shown, Stored } from "./read"

/** One message, in a form that is common to all of them. */
interface Common {
  id: string
  seq: number
  text: string
  isEdited: boolean
  isDeleted: boolean
  reactions: string[]
  files: string[]
}

const order = (texts: string[]) => [...texts].sort()

/** Two lists are equal, or the first difference is thrown. */
function same<T>(what: string, found: readonly T[], truth: readonly T[]): void {
  const at = truth.findIndex((one, n) => JSON.stringify(found[n]) !== JSON.stringify(one))
  if (at < 0 && found.length === truth.length) return
  const first = at < 0 ? truth.length : at
  const shown = (some: readonly T[]) => JSON.stringify(some.slice(Math.max(0, first - 1), first + 2), null, 1)
  throw new Error(
    `${what}: ${found.length} instead of ${truth.length}, first difference at ${first}.\nFound: ${shown(found)}\nInstead of: ${shown(truth)}`,
  )
}

const ofMessage = ({
  id,
  seq,
  content,
  editedAt,
  deletedAt,
  reactions = [],
  attachments = [],
}: Message): Common => ({
  id,
  seq,
  text: content,
  isEdited: editedAt !== undefined,
  isDeleted: deletedAt !== undefined,
  reactions: reactions.map(({ emoji, count, mine }) => `${emoji} ${count} ${mine}`),
  files: order(attachments.map(({ name }) => name)),
})

/** A page shows every message once, in order, as the server has it. */
export function comparePage(
  who: string,
  page: readonly Shown[],
  truth: readonly Message[],
  userId: string,
): void {
  const keyOf = ({ id, senderId, clientMessageId }: Message) =>
    senderId === userId && clientMessageId ? `c:${clientMessageId}` : `m:${id}`
  same(
    `the order on the page of ${who}`,
    page.map(({ key, isOwn, state }) => [key, isOwn, state]),
    truth.map((message) => [keyOf(message), message.senderId === userId, "sent"]),
  )
  same(
    `what the page of ${who} shows`,
    page.map(({ seq, text, isEdited, isDeleted, reactions, files }, n) => ({
      id: truth[n]?.id ?? "",
      seq: Number(seq),
      text,
      isEdited,
      isDeleted,
      reactions: reactions.map(({ emoji, count, mine }) => `${emoji} ${count} ${mine}`),
      files: order(files.map(({ name }) => name)),
    })),
    truth.map(ofMessage),
  )
}

/** All actions of the users are there, once, in their order, and nothing else. */
export function compareLedger(ledger: Ledger, truth: readonly Message[], userIds: readonly string[]): void {
  for (const [who, userId] of userIds.entries()) {
    const name = "ab"[who]
    const sent = ledger.sent[who] ?? []
    const own = truth.filter(({ senderId }) => senderId === userId)
    same(
      `what ${name} sent, by the ids that the page gave it`,
      own.map(({ clientMessageId }) => `c:${clientMessageId}`),
      sent.map(({ key }) => key ?? ""),
    )
    const state = ({ text, isEdited, isDeleted, files }: Sent) => ({
      text: isDeleted ? "" : text,
      isEdited: !isDeleted && isEdited,
      isDeleted,
      files: isDeleted ? [] : order(files.map((file) => file.name)),
    })
    same(
      `what became of it`,
      own
        .map(ofMessage)
        .map(({ text, isEdited, isDeleted, files }) => ({ text, isEdited, isDeleted, files })),
      sent.map(state),
    )
    const isGone = (key: string) =>
      truth.some((one) => one.deletedAt && (key === `m:${one.id}` || key === `c:${one.clientMessageId}`))
    const wanted = [...(ledger.reactions[who] ?? [])].flatMap(([name, isThere]) => {
      const [key = "", emoji] = name.split(" ")
      return isThere && !isGone(key) ? [`${key} ${emoji}`] : []
    })
    const made = truth.flatMap((one) =>
      (one.reactions ?? []).flatMap(({ emoji, userIds }) =>
        userIds.includes(userId)
          ? [`${one.senderId === userId ? `c:${one.clientMessageId}` : `m:${one.id}`} ${emoji}`]
          : [],
      ),
    )
    same(`the reactions of ${name}`, order(made), order(wanted))
  }
  const known = truth.filter(({ senderId }) => !userIds.includes(senderId))
  expect(known).toEqual([])
}

interface Entry {
  id: string
  seq: number
  kind: string
  senderId: string
  clientMessageId?: string
}

/** The log has no gap and no repeated write, and the database equals the server's answers. */
export function compareDatabase(
  { entries, reactions, files }: Stored,
  log: readonly Entry[],
  truth: readonly Message[],
): void {
  same(
    "the numbers of the entries",
    entries.map(({ seq }) => seq),
    entries.map((_, n) => n + 1),
  )
  for (const ids of [
    entries.map((one) => one.message_id),
    entries.flatMap(({ dedupe_key, sender }) => (dedupe_key === null ? [] : [`${sender} ${dedupe_key}`])),
  ])
    expect(new Set(ids).size).toBe(ids.length)
  same(
    "the entries in the database",
    entries.map(({ seq, message_id, sender, kind }) => [seq, message_id, sender, kind]),
    log.map(({ seq, id, senderId, kind }) => [seq, id, senderId, kind]),
  )
  for (const [n, { clientMessageId = "" }] of log.entries())
    expect(entries[n]?.dedupe_key ?? "").toContain(clientMessageId)
  same(
    "the messages in the database",
    entries
      .filter(({ kind }) => kind === "message")
      .map(({ seq, message_id, content, edited, deleted }) => ({
        id: message_id,
        seq,
        text: deleted === null ? content : "",
        isEdited: deleted === null && edited !== null,
        isDeleted: deleted !== null,
        reactions: order(
          reactions.filter((one) => one.seq === seq).map((one) => `${one.emoji} ${one.user_id}`),
        ),
        files: order(files.flatMap((file) => (file.seq === seq && file.state === 2 ? [file.name] : []))),
      })),
    truth.map((message) => ({
      ...ofMessage(message),
      reactions: order(
        (message.reactions ?? []).flatMap(({ emoji, userIds }) => userIds.map((id) => `${emoji} ${id}`)),
      ),
    })),
  )
}
