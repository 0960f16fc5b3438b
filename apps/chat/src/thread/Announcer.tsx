import type { MessageRow } from "@lamplight/client"
import { useEffect, useRef, useState } from "react"
import { describeFiles } from "../files/layout"
import { plainStart } from "../logic/plain"
import { words } from "../strings"

/** More messages than this at once are announced as a number. */
const SPOKEN = 3

/**
 * Announces each new message once. The log itself is silent: its rows come and go while the user scrolls, and
 * a screen reader would read old messages again and again.
 */
export function Announcer({
  rows,
  ready,
  nameOf,
}: {
  rows: readonly MessageRow[]
  ready: boolean
  nameOf: (userId: string) => string
}) {
  const spokenTo = useRef<number | null>(null)
  const [lines, setLines] = useState<{ key: string; text: string }[]>([])

  useEffect(() => {
    if (!ready) return
    const head = newestSeq(rows)
    const from = spokenTo.current
    spokenTo.current = Math.max(head, from ?? 0)
    // Messages that were there when the thread opened are not announced.
    if (from === null || head <= from) return
    const fresh: MessageRow[] = []
    for (let i = rows.length - 1; i >= 0; i -= 1) {
      const row = rows[i]
      if (!row || row.seq === null) continue
      if (row.seq <= from) break
      if (!row.mine && !row.deletedAt) fresh.unshift(row)
    }
    if (fresh.length === 0) return
    setLines(
      fresh.length > SPOKEN
        ? [{ key: `${from}-${head}`, text: words.thread.newer(fresh.length) }]
        : fresh.map((row) => ({
            key: row.key,
            text: words.thread.spoken(
              nameOf(row.senderId),
              [plainStart(row.content, 500), describeFiles(row.attachments)].filter(Boolean).join(" "),
            ),
          })),
    )
  }, [rows, ready, nameOf])

  // Messages deleted since then must not stay readable for screen readers.
  const kept = lines.filter(({ key }) => !rows.some((row) => row.key === key && row.deletedAt))
  return (
    <div className="sr-only" aria-live="polite" data-testid="announcer">
      {kept.map(({ key, text }) => (
        <p key={key}>{text}</p>
      ))}
    </div>
  )
}

function newestSeq(rows: readonly MessageRow[]): number {
  for (let i = rows.length - 1; i >= 0; i -= 1) {
    const seq = rows[i]?.seq
    if (seq != null) return seq
  }
  return 0
}
