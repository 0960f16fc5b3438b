import { type FormEvent, useEffect } from "react"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { givenToken } from "./auth-mode"
import { Field, SignInPage } from "./SignInPage"

/** The form for `AUTH=jwt`: another application signs users in and gives them tokens. */
export function TokenSignIn({ refused, onToken }: { refused: boolean; onToken: (token: string) => void }) {
  // A `#token=` that is added to the address while the page is open loads nothing again.
  useEffect(() => {
    const look = () => {
      const token = location.hash.startsWith("#token=") ? givenToken() : null
      if (token) onToken(token)
    }
    addEventListener("hashchange", look)
    return () => removeEventListener("hashchange", look)
  }, [onToken])

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const token = String(new FormData(event.currentTarget).get("token") ?? "").trim()
    if (token) onToken(token)
  }

  return (
    <SignInPage title={words.product} lead={words.motto}>
      <form className="sign-in-form" data-testid="token-form" noValidate onSubmit={submit}>
        <div>
          <h2 className="sign-in-heading">{words.token.title}</h2>
          <p className="sign-in-hint">{words.token.lead}</p>
        </div>
        <div role="alert" className={refused ? "sign-in-problem" : "sr-only"}>
          {refused ? words.token.refused : null}
        </div>
        <Field label={words.token.field} hint={words.token.trial}>
          {(ids) => (
            <input
              {...ids}
              className="field font-mono"
              name="token"
              autoComplete="off"
              spellCheck={false}
              dir="ltr"
              required
            />
          )}
        </Field>
        <Button look="line" type="submit">
          {words.token.submit}
        </Button>
      </form>
    </SignInPage>
  )
}
