import type { ReactNode } from "react"
import { Lamp } from "../presence/Lamp"

/**
 * What a region shows when it has nothing to list. The four kinds differ in picture, tone and role, and each
 * offers what can be done: a skeleton while loading, a lit lamp over an empty place, a brick mark for a
 * failure, a struck-out lamp where one is not allowed.
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
      <span className="state-mark" aria-hidden="true">
        <Lamp
          state={kind === "empty" ? "online" : kind === "error" ? "busy" : "invisible"}
          size={size === "page" ? 44 : 30}
        />
      </span>
      <p className="state-title">{title}</p>
      {lead && <p className="state-lead">{lead}</p>}
      {action && <div className="state-action">{action}</div>}
    </div>
  )
}

/** Rows that will be there in a moment. Their shape is that of what they stand in for, so nothing jumps. */
export function Skeleton({ rows, label, kind }: { rows: number; label: string; kind: "list" | "thread" }) {
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
