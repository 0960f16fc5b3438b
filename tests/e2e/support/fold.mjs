// The rules of docs/protocol.md once more, written down apart from the server and the client, to judge both by.

/**
 * Messages as a client folds them from raw entries of a log, in the order of `seq`.
 * @param {any[]} entries @param {string} viewer
 */
export function fold(entries, viewer) {
  const messages = new Map()
  for (const { messageSeq, ...entry } of entries) {
    const { kind, senderId, createdAt } = entry
    if (kind === "message") messages.set(entry.seq, { ...entry })
    const message = messages.get(messageSeq)
    if (!message || message.deletedAt) continue
    if (kind === "edit") {
      message.content = entry.content
      message.editedAt = createdAt
      delete message.mentions
      if (entry.mentions) message.mentions = entry.mentions
    } else if (kind === "delete") {
      const { id, kind, conversationId, seq, senderId, clientMessageId, createdAt: sentAt } = message
      const kept = {
        id,
        kind,
        conversationId,
        seq,
        senderId,
        content: "",
        createdAt: sentAt,
        deletedAt: createdAt,
      }
      messages.set(messageSeq, clientMessageId === undefined ? kept : { ...kept, clientMessageId })
    } else if (kind === "pin") {
      delete message.pinnedAt
      if (entry.pinned) message.pinnedAt = createdAt
    } else if (kind === "reaction") {
      const others = (message.added ?? []).filter(
        (one) => one.emoji !== entry.emoji || one.senderId !== senderId,
      )
      message.added = entry.added ? [...others, { emoji: entry.emoji, senderId }] : others
    }
  }
  return [...messages.values()].map(({ added = [], ...message }) => {
    const reactions = [...new Set(added.map((one) => one.emoji))].map((emoji) => {
      const userIds = added.filter((one) => one.emoji === emoji).map((one) => one.senderId)
      return { emoji, count: userIds.length, mine: userIds.includes(viewer), userIds: userIds.slice(0, 20) }
    })
    return reactions.length > 0 ? { ...message, reactions } : message
  })
}
