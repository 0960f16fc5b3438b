import type { ReactNode } from "react"
import { PresenceIcon } from "../presence/PresenceIcon"
import { LampIllustration } from "./LampIllustration"

/**
 * What a panel shows when it has no content: loading, empty, error or not allowed. Each has its own picture,
 * tone and role, and offers an action.
 */
export function State(props: {
  kind: "empty" | "error" | "denied"
  title: string
  lead?: string
  action?: ReactNode
  size?: "page" | "panel"
}) {
  const { kind, title, lead, action, size = "panel" } = props
  return (
    <div className="state" data-kind={kind} data-size={size} role={kind === "empty" ? undefined : "alert"}>
      {kind === "empty" && size === "page" ? (
        <LampIllustration />
      ) : (
        <span className="state-mark">
          <PresenceIcon state={marks[kind]} size={size === "page" ? 40 : 28} />
        </span>
      )}
      <p className="state-title">{title}</p>
      {lead && <p className="state-lead">{lead}</p>}
      {action && <div className="state-action">{action}</div>}
    </div>
  )
}

const marks = { empty: "offline", error: "busy", denied: "invisible" } as const

/** Placeholder rows with the shape of the rows that follow, so that nothing jumps. */
export function Skeleton(props: { rows: number; label: string; kind: "list" | "people" | "thread" }) {
  const { rows, label, kind } = props
  return (
    <div className="skeleton" data-kind={kind} role="status">
      <span className="sr-only">{label}</span>
      {Array.from({ length: rows }, (_, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are alike and never move
        <span key={i} className="skeleton-row" aria-hidden="true">
          <span className="skeleton-face" />
          <span className="skeleton-lines" />
        </span>
      ))}
    </div>
  )
}
