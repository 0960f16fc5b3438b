import { type FormEvent, useEffect, useState } from "react"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { givenToken, nameInToken } from "./auth-mode"
import { Field, SignInPage } from "./SignInPage"

/** The form for `AUTH=jwt`: another application signs users in and gives them tokens. `given` is one from the address. */
export function TokenSignIn(props: {
  refused: boolean
  given: string | null
  onToken: (token: string) => void
  /** The one from the address is not used. */
  onDecline: () => void
}) {
  const { refused, onToken, onDecline } = props
  const [given, setGiven] = useState(props.given)
  // A `#token=` that is added to the address while the page is open loads nothing again.
  useEffect(() => {
    const look = () => setGiven((before) => givenToken() ?? before)
    addEventListener("hashchange", look)
    return () => removeEventListener("hashchange", look)
  }, [])

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const token = String(new FormData(event.currentTarget).get("token") ?? "").trim()
    if (token) onToken(token)
  }

  if (given !== null) {
    const name = nameInToken(given)
    return (
      <SignInPage title={words.product} lead={words.motto}>
        <div className="sign-in-form" data-testid="token-given">
          <div>
            <h2 className="sign-in-heading">{words.token.givenTitle(name)}</h2>
            <p className="sign-in-hint">{words.token.givenLead}</p>
          </div>
          <Button look="primary" data-testid="token-use" onClick={() => onToken(given)}>
            {words.token.givenUse}
          </Button>
          <Button
            look="quiet"
            onClick={() => {
              setGiven(null)
              onDecline()
            }}
          >
            {words.token.givenLeave}
          </Button>
        </div>
      </SignInPage>
    )
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
