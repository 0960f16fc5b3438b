import { type ReactNode, useId } from "react"

/** A section of settings about one topic. */
export function Section({ title, children }: { title: string; children: ReactNode }) {
  const id = useId()
  return (
    <section className="set-section" aria-labelledby={id}>
      <h3 className="set-title" id={id}>
        {title}
      </h3>
      {children}
    </section>
  )
}

/** A setting that is on or off. */
export function Toggle(props: {
  label: string
  hint: string
  testId: string
  isOn: boolean
  onChange: (isOn: boolean) => void
}) {
  const { label, hint, testId, isOn, onChange } = props
  const id = useId()
  return (
    <label className="set-switch">
      <span>
        <span className="set-label">{label}</span>
        <span className="menu-note" id={id}>
          {hint}
        </span>
      </span>
      <input
        type="checkbox"
        className="switch"
        data-testid={testId}
        aria-label={label}
        aria-describedby={id}
        checked={isOn}
        onChange={({ target }) => onChange(target.checked)}
      />
    </label>
  )
}
