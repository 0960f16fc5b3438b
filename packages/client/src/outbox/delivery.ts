/** Sends one message over the transport that works. */
import type { Core } from "../core.js"
import { isTransportFailure, toError } from "../errors.js"
import { encodeId } from "../http.js"
import type { OutboxRecord } from "../options.js"
import type { SendAnswer } from "../wire.js"

/**
 * Sends by socket with an acknowledgement and a time limit. Without an answer, or without a socket, it sends
 * over HTTP with the same id, so that the server stores the message once. Throws the server's refusal.
 */
export async function deliver(core: Core, record: OutboxRecord): Promise<SendAnswer> {
  const { connection, http } = core
  const { conversationId, content, clientMessageId } = record
  const body = { conversationId, content, clientMessageId }
  if (connection.joined() && core.isUser(record.userId)) {
    try {
      return await connection.ask<SendAnswer>("send_private_message", body)
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
    // socket's, so that this message is not delivered to it.
    const headers: Record<string, string> = { "x-user-id": encodeId(record.userId) }
    if (socketId) headers["x-socket-id"] = socketId
    return await http<SendAnswer>("/api/privatechat/message", body, { headers })
  } catch (thrown) {
    alive = !isTransportFailure(thrown)
    throw thrown
  } finally {
    connection.reportHttp(alive)
  }
}
