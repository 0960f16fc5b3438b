import type { Lamplight, User } from "@lamplight/client"
import { type FormEvent, useEffect, useRef, useState } from "react"
import { useMouse } from "../app/hooks"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { accountReason } from "../ui/failure"
import { Field, SignInPage } from "./SignInPage"

const text = words.signIn
const MIN_PASSWORD = 8
const MAX_USERNAME = 32

/** Sign-in and registration for `AUTH=local`. */
export function AccountSignIn(props: {
  client: Lamplight
  /** Whether the session ended without a sign-out: the form then says so. */
  signedOut: boolean
  onSignedIn: (user: User) => void
}) {
  const { client, signedOut, onSignedIn } = props
  const [fresh, setFresh] = useState(false)
  const [busy, setBusy] = useState(false)
  const [shown, setShown] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const [errors, setErrors] = useState<{ username?: string; password?: string }>({})
  const form = useRef<HTMLFormElement>(null)
  const mouse = useMouse()
  // The client requested the session before this form appeared.
  const closed = client.me.get().registration === "closed"

  // A sign-in in another tab signs in here too: tabs share the cookie.
  useEffect(() => {
    if (busy) return
    return client.me.subscribe(() => {
      const { user } = client.me.get()
      if (user) onSignedIn(user)
    })
  }, [client, onSignedIn, busy])

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    if (busy) return
    const data = new FormData(event.currentTarget)
    const username = String(data.get("username") ?? "").trim()
    const password = String(data.get("password") ?? "")
    const name = String(data.get("name") ?? "").trim()
    const found: typeof errors = {}
    if (!username) found.username = text.required
    if (!password) found.password = text.required
    else if (fresh && [...password].length < MIN_PASSWORD) found.password = text.passwordShort
    setErrors(found)
    setProblem(null)
    const first = found.username ? "username" : found.password ? "password" : null
    if (first) {
      form.current?.querySelector<HTMLInputElement>(`[name="${first}"]`)?.focus()
      return
    }
    setBusy(true)
    try {
      const user = fresh
        ? await client.register(name ? { username, password, name } : { username, password })
        : await client.login({ username, password })
      onSignedIn(user)
    } catch (thrown) {
      setProblem(accountReason(thrown, text.closed))
      setBusy(false)
    }
  }

  return (
    <SignInPage title={words.product} lead={words.motto}>
      {signedOut && (
        <p role="status" className="mt-4 text-center text-sm text-ink-soft">
          {text.signedOut}
        </p>
      )}
      <form ref={form} className="sign-in-form" data-testid="signin-form" noValidate onSubmit={submit}>
        <div>
          <h2 className="sign-in-heading">{fresh ? text.titleNew : text.title}</h2>
          {fresh && <p className="sign-in-hint">{text.leadNew}</p>}
        </div>
        <div role="alert" className={problem ? "sign-in-problem" : "sr-only"}>
          {problem}
        </div>
        <Field label={text.username} error={errors.username} {...(fresh ? { hint: text.usernameHint } : {})}>
          {(ids) => (
            <input
              {...ids}
              className="field"
              name="username"
              autoComplete="username"
              autoCapitalize="none"
              autoCorrect="off"
              spellCheck={false}
              maxLength={MAX_USERNAME}
              // biome-ignore lint/a11y/noAutofocus: a page with one task; on touch a keyboard would cover it, so the field is not focused there
              autoFocus={mouse}
              required
            />
          )}
        </Field>
        {fresh && (
          <Field label={text.name} hint={text.nameHint}>
            {(ids) => (
              <input {...ids} className="field" name="name" autoComplete="name" dir="auto" maxLength={128} />
            )}
          </Field>
        )}
        <Field label={text.password} error={errors.password} {...(fresh ? { hint: text.passwordHint } : {})}>
          {(ids) => (
            <div className="relative">
              <input
                {...ids}
                className="field pe-16"
                name="password"
                type={shown ? "text" : "password"}
                autoComplete={fresh ? "new-password" : "current-password"}
                required
              />
              <button
                type="button"
                className="button button-text absolute inset-y-0 end-1.5 my-auto"
                aria-pressed={shown}
                aria-label={`${shown ? text.hide : text.show}: ${text.password}`}
                onClick={() => setShown(!shown)}
              >
                {shown ? text.hide : text.show}
              </button>
            </div>
          )}
        </Field>
        <Button look="primary" type="submit" disabled={busy} data-testid="signin-submit">
          {busy ? text.busy : fresh ? text.submitNew : text.submit}
        </Button>
        {fresh && (
          <p className="sign-in-hint sign-in-privacy" data-testid="privacy">
            {text.privacy}
          </p>
        )}
      </form>
      {closed ? (
        <p className="sign-in-switch sign-in-hint">{text.closed}</p>
      ) : (
        <p className="sign-in-switch">
          <Button
            look="text"
            data-testid="signin-switch"
            onClick={() => {
              setFresh(!fresh)
              setErrors({})
              setProblem(null)
            }}
          >
            {fresh ? text.toOld : text.toNew}
          </Button>
        </p>
      )}
    </SignInPage>
  )
}
