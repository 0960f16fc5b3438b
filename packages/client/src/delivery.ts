/** Brings one message to the server, over whichever wire there is. */
import type { Core } from "./core.js"
import { toError } from "./errors.js"
import type { OutboxRecord } from "./outbox-record.js"
import type { SendAnswer } from "./wire.js"

/** Failures of the wire itself: whether it arrived is not known, and the other wire may do. */
const WIRE_FAILURES = ["offline", "timeout", "bad_answer"]

/**
 * By socket with an acknowledgement and a limit of time; no answer or no socket: over HTTP with the same id, so that the
 * server stores it once. Throws what it refuses with.
 */
export async function deliver(core: Core, record: OutboxRecord): Promise<SendAnswer> {
  const { conversationId, content, clientMessageId } = record
  const body = { conversationId, content, clientMessageId }
  const { connection } = core
  if (connection.joined()) {
    try {
      return await connection.ask<SendAnswer>("send_private_message", body)
    } catch (thrown) {
      const { code } = toError(thrown)
      if (!WIRE_FAILURES.includes(code)) throw thrown
      // The line may be dead without anybody having noticed.
      if (code === "timeout") connection.wake()
    }
  }
  const socketId = connection.socketId()
  const away = !connection.joined()
  try {
    const answer = await core.http<SendAnswer>("POST", "/api/privatechat/message", {
      body,
      // So that this socket is not told of its own message.
      headers: socketId ? { "x-socket-id": socketId } : {},
    })
    if (away) connection.sawHttp(true)
    return answer
  } catch (thrown) {
    if (away) connection.sawHttp(!WIRE_FAILURES.includes(toError(thrown).code))
    throw thrown
  }
}
