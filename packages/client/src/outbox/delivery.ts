/** Brings one message to the server, over whichever wire there is. */
import type { Core } from "../core.js"
import { isTransportFailure, toError } from "../errors.js"
import { encodeId } from "../http.js"
import type { OutboxRecord } from "../options.js"
import type { SendAnswer } from "../wire.js"

/**
 * By socket with an acknowledgement and a limit of time; no answer or no socket: over HTTP with the same id, so that the
 * server stores it once. Throws what it refuses with.
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
      // The line may be dead without anybody having noticed.
      if (toError(thrown).code === "timeout") connection.wake()
    }
  }
  const socketId = connection.socketId()
  let alive = true
  try {
    // Whose it is: whoever the cookie or the next token belongs to by now must not say it. And which socket, so that it is not told of
    // its own message.
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
