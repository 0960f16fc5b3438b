import { type ReactNode, useId } from "react"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { Pendant } from "../ui/Pendant"
import { State } from "../ui/State"

/** The way in: a lamp over the table, and whatever lies in its light. Unlit while the server is still being asked. */
export function Entry(props: { lit?: boolean; title: string; lead?: string; children?: ReactNode }) {
  const { lit = true, title, lead, children } = props
  return (
    <main className="entry">
      <Pendant lit={lit} />
      <div className="entry-sheet" aria-busy={!lit}>
        <h1 className="entry-title">{title}</h1>
        {lead && <p className="entry-lead">{lead}</p>}
        {children}
      </div>
    </main>
  )
}

/** A labelled field whose hint and error are read out with it. */
export function Field(props: {
  label: string
  hint?: string
  error?: string | undefined
  children: (ids: {
    id: string
    "aria-describedby": string | undefined
    "aria-invalid": boolean
  }) => ReactNode
}) {
  const id = useId()
  const { label, hint, error, children } = props
  const described = error ? `${id}-error` : hint ? `${id}-hint` : undefined
  return (
    <div>
      <label htmlFor={id} className="entry-label">
        {label}
      </label>
      {children({ id, "aria-describedby": described, "aria-invalid": error !== undefined })}
      {error ? (
        <p id={`${id}-error`} className="entry-error">
          {error}
        </p>
      ) : (
        hint && (
          <p id={`${id}-hint`} className="entry-hint">
            {hint}
          </p>
        )
      )}
    </div>
  )
}

/** The page came from somewhere, but its server does not answer. */
export function Gone({ onRetry }: { onRetry: () => void }) {
  return (
    <main className="h-dvh">
      <h1 className="sr-only">{words.product}</h1>
      <State
        kind="error"
        size="page"
        title={words.gone.title}
        lead={words.gone.lead}
        action={
          <Button look="lamp" onClick={onRetry}>
            {words.gone.retry}
          </Button>
        }
      />
    </main>
  )
}
