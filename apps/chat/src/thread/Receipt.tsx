import { words } from "../strings"
import type { Reach } from "./Log"

/** How far one's own words got: one tick, two ticks, or two over a lit line. The word stands beside it. */
export function Receipt({ reach }: { reach: Exclude<Reach, null> }) {
  return (
    <span className="receipt" data-testid="receipt" data-receipt={reach} title={words.message[reach]}>
      <svg viewBox="0 0 18 14" width="18" height="14" aria-hidden="true">
        <path d={reach === "sent" ? "m5 7 3 3 6-7" : "m2 7 3 3 6-7M8.5 9.2l.8.8 6-7"} />
        {reach === "read" && <path className="receipt-line" d="M2 13h13.5" />}
      </svg>
      <span className="side-word">{words.message[reach]}</span>
    </span>
  )
}
