import { type ReactNode, useId } from "react"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { LampIllustration } from "../ui/LampIllustration"
import { State } from "../ui/State"

/** The frame of all sign-in pages. The lamp is unlit while the server is being asked. */
export function SignInPage(props: { lit?: boolean; title: string; lead?: string; children?: ReactNode }) {
  const { lit = true, title, lead, children } = props
  return (
    <main className="sign-in">
      <LampIllustration lit={lit} />
      <div className="sign-in-sheet" aria-busy={!lit}>
        <h1 className="sign-in-title">{title}</h1>
        {lead && <p className="sign-in-lead">{lead}</p>}
        {children}
      </div>
    </main>
  )
}

/** A labelled field. Screen readers read its hint and error with it. */
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
      <label htmlFor={id} className="sign-in-label">
        {label}
      </label>
      {children({ id, "aria-describedby": described, "aria-invalid": error !== undefined })}
      {error ? (
        <p id={`${id}-error`} className="sign-in-error">
          {error}
        </p>
      ) : (
        hint && (
          <p id={`${id}-hint`} className="sign-in-hint">
            {hint}
          </p>
        )
      )}
    </div>
  )
}

/** The page is loaded, but its server does not answer. */
export function ServerUnreachable({ onRetry }: { onRetry: () => void }) {
  return (
    <main className="h-dvh">
      <h1 className="sr-only">{words.product}</h1>
      <State
        kind="error"
        size="page"
        title={words.gone.title}
        lead={words.gone.lead}
        action={
          <Button look="primary" onClick={onRetry}>
            {words.gone.retry}
          </Button>
        }
      />
    </main>
  )
}
