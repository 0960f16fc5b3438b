import { words } from "../strings"
import type { DeliveryState } from "./delivery-state"

/**
 * The delivery state of the user's own message: one tick, two ticks, or two over a line, with the word beside
 * it.
 */
export function Receipt({ id, delivery }: { id: string; delivery: Exclude<DeliveryState, null> }) {
  return (
    <span
      id={id}
      className="receipt"
      data-testid="receipt"
      data-receipt={delivery}
      title={words.message[delivery]}
    >
      <svg viewBox="0 0 18 14" width="18" height="14" aria-hidden="true">
        <path d={delivery === "sent" ? "m5 7 3 3 6-7" : "m2 7 3 3 6-7M8.5 9.2l.8.8 6-7"} />
        {delivery === "read" && <path className="receipt-line" d="M2 13h13.5" />}
      </svg>
      <span className="side-word">{words.message[delivery]}</span>
    </span>
  )
}
