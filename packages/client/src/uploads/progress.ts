/** Files that other users are uploading. */
import type { Core } from "../core.js"
import type { FileProgress } from "../wire.js"
import type { Sharing } from "./contract.js"

/** How long the end of an upload shows. */
const END_SHOWS_MS = 4_000
/** The server reports within 30 s that an upload has stopped. This timeout covers a lost report. */
const SILENCE_MS = 60_000

export function createProgress({ clock, events }: Core, sharing: Sharing) {
  /** A function for each file that cancels its timer. */
  const ends = new Map<string, () => void>()

  function take(fileId: string): void {
    ends.get(fileId)?.()
    ends.delete(fileId)
    sharing.set(sharing.get().filter((one) => one.fileId !== fileId))
  }

  events.on("stored", (entry) => {
    // The message is there: it shows the file itself.
    if (ends.size && "attachments" in entry) {
      for (const { id } of entry.attachments ?? []) if (ends.has(id)) take(id)
    }
  })
  events.on("reset", () => {
    for (const cancel of ends.values()) cancel()
    ends.clear()
    sharing.set([])
  })

  return (event: FileProgress): void => {
    const { fileId, state } = event
    const isOver = state !== "uploading" && state !== "processing"
    const known = sharing.get()
    const isKnown = known.some((one) => one.fileId === fileId)
    // It was over before this client learned of it.
    if (isOver && !isKnown) return
    ends.get(fileId)?.()
    ends.set(
      fileId,
      clock.after(isOver ? END_SHOWS_MS : SILENCE_MS, () => take(fileId)),
    )
    sharing.set(isKnown ? known.map((one) => (one.fileId === fileId ? event : one)) : [...known, event])
  }
}
