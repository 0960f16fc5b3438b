import { useAccount } from "@lamplight/react"
import { type FormEvent, useEffect, useRef, useState } from "react"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { Outcome, Section, useAttempt } from "./account-form"
import { Field } from "./SignInPage"

const text = words.account

/** The form to delete the account: the consequences, the choice about messages, and the password. */
export function DeleteAccount({ onLeave }: { onLeave: () => void }) {
  const [isOpen, setOpen] = useState(false)
  return (
    <Section title={text.deleteTitle} lead={text.deleteLead}>
      {isOpen ? (
        <Form onLeave={onLeave} onCancel={() => setOpen(false)} />
      ) : (
        <Button
          look="line"
          className="dialog-out"
          data-testid="account-delete-open"
          onClick={() => setOpen(true)}
        >
          {text.deleteOpen}
        </Button>
      )}
    </Section>
  )
}

function Form({ onLeave, onCancel }: { onLeave: () => void; onCancel: () => void }) {
  const { deleteAccount } = useAccount()
  const form = useRef<HTMLFormElement>(null)
  const [error, setError] = useState<string>()
  const { busy, problem, attempt } = useAttempt()

  useEffect(() => {
    form.current?.scrollIntoView({ block: "nearest" })
    form.current?.querySelector("input")?.focus()
  }, [])

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    if (busy) return
    const data = new FormData(event.currentTarget)
    const password = String(data.get("password") ?? "")
    setError(password ? undefined : words.signIn.required)
    if (!password) return form.current?.querySelector<HTMLInputElement>("[name=password]")?.focus()
    const deletion = { password, ...(data.get("messages") === "delete" && { messages: "delete" as const }) }
    void attempt(() => deleteAccount(deletion).then(onLeave), "")
  }

  return (
    <form ref={form} className="dialog-form" data-testid="account-delete" noValidate onSubmit={submit}>
      <fieldset className="dialog-options">
        <legend>{text.deleteMessages}</legend>
        {[
          { value: "keep", label: text.deleteKeep, hint: text.deleteKeepHint },
          { value: "delete", label: text.deleteErase, hint: text.deleteEraseHint },
        ].map(({ value, label, hint }) => (
          <label key={value} className="dialog-option">
            <input type="radio" name="messages" value={value} defaultChecked={value === "keep"} />
            <span>
              {label}
              <span className="dialog-option-hint">{hint}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <Field label={text.deletePassword} error={error}>
        {(ids) => (
          <input {...ids} className="field" name="password" type="password" autoComplete="current-password" />
        )}
      </Field>
      <Outcome problem={problem} done={null} />
      <div className="dialog-buttons">
        <Button look="line" type="submit" className="dialog-danger" disabled={busy}>
          {text.deleteNow}
        </Button>
        <Button look="text" disabled={busy} onClick={onCancel}>
          {text.deleteCancel}
        </Button>
      </div>
    </form>
  )
}
