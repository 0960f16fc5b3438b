/** Sends one message, or one change of a message, over the transport that works. */
import type { Core } from "../core.js"
import { isTransportFailure, toError } from "../errors.js"
import { encodeId, type RequestExtras } from "../http.js"
import type { MessageWrite, OutboxRecord } from "../options.js"
import type { ClientEvents, LogEntry, SendAnswer, WriteAnswer } from "../wire.js"

/** A write, for both transports. */
interface Request {
  event: keyof ClientEvents
  payload: object
  path: string
  method?: RequestExtras["method"]
  body: object
}

/**
 * Sends by socket with an acknowledgement and a time limit. Without an answer, or without a socket, it sends
 * over HTTP with the same id, so that the server stores it once. Resolves to the entry. Throws the server's refusal.
 */
export async function deliver(core: Core, record: OutboxRecord): Promise<LogEntry> {
  const { connection, http } = core
  const { event, payload, path, method, body } = record.write
    ? requestOf(record, record.write)
    : sendOf(record)
  if (connection.joined() && core.isUser(record.userId)) {
    try {
      return entryOf(await connection.ask(event, payload))
    } catch (thrown) {
      if (!isTransportFailure(thrown)) throw thrown
      // The connection may be dead without an event.
      if (toError(thrown).code === "timeout") connection.wake()
    }
  }
  const socketId = connection.socketId()
  let alive = true
  try {
    // The user's id, so that the server refuses it if the cookie or the next token is another user's; and the
    // socket's, so that this entry is not delivered to it.
    const headers: Record<string, string> = { "x-user-id": encodeId(record.userId) }
    if (socketId) headers["x-socket-id"] = socketId
    return entryOf(await http(path, body, { headers, ...(method ? { method } : {}) }))
  } catch (thrown) {
    alive = !isTransportFailure(thrown)
    throw thrown
  } finally {
    connection.reportHttp(alive)
  }
}

const entryOf = (answer: SendAnswer | WriteAnswer): LogEntry =>
  "message" in answer ? answer.message : answer.entry

function sendOf(record: OutboxRecord): Request {
  const { conversationId, content, clientMessageId, replyTo, mentions, files } = record
  const body = {
    conversationId,
    content,
    clientMessageId,
    ...(replyTo ? { replyTo: replyTo.id } : {}),
    ...(mentions ? { mentions } : {}),
    ...(files ? { attachments: files.map(({ fileId }) => fileId) } : {}),
  }
  return { event: "send_private_message", payload: body, path: "/api/privatechat/message", body }
}

function requestOf(record: OutboxRecord, { action, messageId = "" }: MessageWrite): Request {
  const { conversationId, clientMessageId } = record
  const { kind, ...rest } = action
  const path = `/api/privatechat/messages/${encodeId(conversationId)}/${encodeId(messageId)}`
  const payload = { conversationId, messageId, clientMessageId, ...rest }
  const body = { clientMessageId }
  switch (action.kind) {
    case "edit":
      return { event: "edit_message", payload, path, method: "PATCH", body: { ...body, ...rest } }
    case "delete":
      return { event: "delete_message", payload, path, method: "DELETE", body }
    case "reaction": {
      const method = action.added ? "PUT" : "DELETE"
      return { event: "react", payload, path: `${path}/reactions/${encodeId(action.emoji)}`, method, body }
    }
    case "pin":
      return {
        event: "pin_message",
        payload,
        path: `${path}/pin`,
        method: action.pinned ? "PUT" : "DELETE",
        body,
      }
  }
}
