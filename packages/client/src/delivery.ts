/** Brings one message to the server, over whichever wire there is. */
import type { Core } from "./core.js"
import { isWireFailure, toError } from "./errors.js"
import type { OutboxRecord } from "./outbox-record.js"
import type { SendAnswer } from "./wire.js"

/**
 * By socket with an acknowledgement and a limit of time; no answer or no socket: over HTTP with the same id, so that the
 * server stores it once. Throws what it refuses with.
 */
export async function deliver({ connection, http }: Core, record: OutboxRecord): Promise<SendAnswer> {
  const { conversationId, content, clientMessageId } = record
  const body = { conversationId, content, clientMessageId }
  if (connection.joined()) {
    try {
      return await connection.ask<SendAnswer>("send_private_message", body)
    } catch (thrown) {
      if (!isWireFailure(thrown)) throw thrown
      // The line may be dead without anybody having noticed.
      if (toError(thrown).code === "timeout") connection.wake()
    }
  }
  const socketId = connection.socketId()
  let alive = true
  try {
    // So that this socket is not told of its own message.
    const headers: Record<string, string> = socketId ? { "x-socket-id": socketId } : {}
    return await http<SendAnswer>("/api/privatechat/message", body, { headers })
  } catch (thrown) {
    alive = !isWireFailure(thrown)
    throw thrown
  } finally {
    connection.sawHttp(alive)
  }
}
