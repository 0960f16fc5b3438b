/** A pinned message from the server's list or from the loaded rows. */
export interface Pin {
  key: string
  seq: number
  senderId: string
  createdAt: string
  content: string
  attachments?: readonly { name: string; type: string }[] | undefined
}

interface ListedMessage {
  id: string
  seq: number
  senderId: string
  createdAt: string
  content: string
  attachments?: readonly { name: string; type: string }[] | undefined
}

interface LoadedRow {
  key: string
  seq: number | null
  senderId: string
  createdAt: string
  content: string
  attachments?: readonly { name: string; type: string }[] | undefined
  pinnedAt: string | null
}

/** The pinned messages, newest first: as the server listed them, except those that are loaded, which are as their rows have them. */
export function mergePins(listed: readonly ListedMessage[], rows: readonly LoadedRow[]): Pin[] {
  const loaded = new Set(rows.map(({ seq }) => seq))
  const elsewhere = listed
    .filter(({ seq }) => !loaded.has(seq))
    .map((message) => ({ ...message, key: message.id }))
  const here = rows.flatMap((row) =>
    row.pinnedAt !== null && row.seq !== null ? [{ ...row, seq: row.seq }] : [],
  )
  return [...elsewhere, ...here].sort((one, other) => other.seq - one.seq)
}
