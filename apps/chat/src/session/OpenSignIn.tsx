import { type FormEvent, useState } from "react"
import { useMouse } from "../app/hooks"
import { words } from "../strings"
import { Button } from "../ui/Button"
import type { Identity } from "./auth-mode"
import { Field, SignInPage } from "./SignInPage"

/** The form for `AUTH=open`: the server believes the id. */
export function OpenSignIn({ onSignedIn }: { onSignedIn: (identity: Identity) => void }) {
  const [error, setError] = useState<string>()
  const mouse = useMouse()

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const data = new FormData(event.currentTarget)
    const userId = String(data.get("userId") ?? "").trim()
    const name = String(data.get("name") ?? "").trim()
    if (!userId) {
      setError(words.signIn.required)
      event.currentTarget.querySelector("input")?.focus()
      return
    }
    onSignedIn(name ? { userId, name } : { userId })
  }

  return (
    <SignInPage title={words.product} lead={words.motto}>
      <form className="sign-in-form" data-testid="open-form" noValidate onSubmit={submit}>
        <div>
          <h2 className="sign-in-heading">{words.open.title}</h2>
          <p className="sign-in-hint">{words.open.lead}</p>
        </div>
        <Field label={words.open.id} hint={words.open.idHint} error={error}>
          {(ids) => (
            <input
              {...ids}
              className="field"
              name="userId"
              autoComplete="off"
              autoCapitalize="none"
              autoCorrect="off"
              spellCheck={false}
              maxLength={128}
              // biome-ignore lint/a11y/noAutofocus: a page with one task; on touch a keyboard would cover it, so the field is not focused there
              autoFocus={mouse}
              required
            />
          )}
        </Field>
        <Field label={words.open.name} hint={words.open.nameHint}>
          {(ids) => (
            <input {...ids} className="field" name="name" autoComplete="name" dir="auto" maxLength={128} />
          )}
        </Field>
        <Button look="primary" type="submit">
          {words.open.submit}
        </Button>
      </form>
    </SignInPage>
  )
}
