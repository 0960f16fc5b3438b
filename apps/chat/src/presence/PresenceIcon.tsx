import { words } from "../strings"

/** `invisible` is only used for the user's own presence. */
export type PresenceIconState = "online" | "away" | "busy" | "offline" | "invisible" | "unknown"

const shade =
  "M5.5 1.3h5a1 1 0 0 1 .95.69l1.75 5.4a.8.8 0 0 1-.76 1.05H3.56a.8.8 0 0 1-.76-1.05l1.75-5.4a1 1 0 0 1 .95-.69z"

/**
 * A table lamp whose shape shows the presence, apart from its colour. Online: lit, with light to both sides.
 * Away: half as bright. Busy: a closed shade over a bar. Offline: an outline on its stand. Invisible: that
 * outline struck through. Unknown: a dashed outline without a stand. A word is always beside it or in the
 * accessible name.
 */
export function PresenceIcon({ state, size = 16 }: { state: PresenceIconState; size?: number }) {
  return (
    <svg
      viewBox="0 0 16 16"
      // As large as text is, since an avatar has a notch for it.
      width={`${size / 16}rem`}
      height={`${size / 16}rem`}
      className="presence-icon"
      data-state={state}
      aria-hidden="true"
    >
      {shapes[state]}
    </svg>
  )
}

const shapes: Record<PresenceIconState, React.ReactNode> = {
  online: (
    <>
      <path className="presence-icon-light" d="M3.9 9.7h8.2l3.5 5.5H.4z" />
      <path className="presence-icon-fill" d={shade} />
    </>
  ),
  away: (
    <>
      <path className="presence-icon-line" d={shade} />
      <path
        className="presence-icon-fill"
        d="M4.2 4.9h7.6l.95 2.7a.6.6 0 0 1-.57.84H3.82a.6.6 0 0 1-.57-.84z"
      />
      <path className="presence-icon-line" d="M8 8.7v5.6M5.3 14.5h5.4" />
    </>
  ),
  busy: (
    <>
      <path className="presence-icon-fill" d={shade} />
      <path className="presence-icon-bar" d="M2.5 12.9h11" />
    </>
  ),
  offline: (
    <>
      <path className="presence-icon-line" d={shade} />
      <path className="presence-icon-line" d="M8 8.7v5.6M5.3 14.5h5.4" />
    </>
  ),
  invisible: (
    <>
      <path className="presence-icon-line" d={shade} />
      <path className="presence-icon-line" d="M8 8.7v5.6M5.3 14.5h5.4M2 14 14 1.8" />
    </>
  ),
  unknown: (
    <path className="presence-icon-line presence-icon-dashed" d={shade} transform="translate(0 2.6)" />
  ),
}

/** The icon with its word, for rows with enough space. */
export function PresenceLabel({ state, detail }: { state: PresenceIconState; detail?: string | undefined }) {
  return (
    <span className="presence-label" data-testid="presence" data-presence={state}>
      {state !== "offline" && <PresenceIcon state={state} size={14} />}
      <span className="truncate">{detail ?? words.presence[state]}</span>
    </span>
  )
}
