import type { User } from "@lamplight/client"
import { useAccount } from "@lamplight/react"
import { X } from "lucide-react"
import { type FormEvent, useEffect, useId, useMemo, useRef, useState } from "react"
import { useLayer } from "../app/layers"
import { useHandles } from "../people/handles"
import { words } from "../strings"
import { Button, IconButton } from "../ui/Button"
import { later } from "../ui/later"
import { Outcome, Section, useAttempt } from "./account-form"
import { DeleteAccount } from "./DeleteAccount"
import { Field } from "./SignInPage"

const text = words.account

/** Loaded when the dialog is first opened. The placeholder has the final height, so that nothing moves. */
const AccountPicture = later(
  async () => ({ default: (await import("../details/panels")).AccountPicture }),
  <div className="picture-form-loading" />,
)

const MIN_PASSWORD = 8
const MAX_NAME = 200

/** The user's account (`AUTH=local`): name, password, signing out everywhere, and deletion. */
export function AccountDialog(props: { self: User; onClose: () => void; onLeave: () => void }) {
  const { self, onClose, onLeave } = props
  const dialog = useRef<HTMLDialogElement>(null)
  const title = useId()
  useLayer(onClose)

  // Modal: the browser keeps the focus inside, makes the rest of the page inert and restores the focus.
  useEffect(() => {
    dialog.current?.showModal()
  }, [])

  const handle = useHandles(
    useMemo(() => [self], [self]),
    true,
  ).get(self.id)

  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it by itself
    <dialog
      ref={dialog}
      className="dialog"
      data-testid="account-dialog"
      aria-labelledby={title}
      onClose={onClose}
      onClick={(event) => {
        // A click on the dialog element itself is one on the backdrop: the content fills the dialog.
        if (event.target === dialog.current) dialog.current?.close()
      }}
    >
      <div className="dialog-body">
        <div className="dialog-head">
          <h2 id={title} className="sign-in-heading">
            {text.title}
            {handle && (
              <span className="dialog-handle" dir="auto" data-testid="account-handle">
                {" "}
                {handle}
              </span>
            )}
          </h2>
          <IconButton label={text.close} onClick={() => dialog.current?.close()}>
            <X size={20} aria-hidden="true" />
          </IconButton>
        </div>
        <section className="dialog-section" aria-label={text.picture}>
          <AccountPicture self={self} />
        </section>
        <NameForm self={self} />
        <PasswordForm />
        <Everywhere onLeave={onLeave} />
        <Section title={text.privacyTitle} lead={text.privacyLead} />
        <DeleteAccount onLeave={onLeave} />
      </div>
    </dialog>
  )
}

function NameForm({ self }: { self: User }) {
  const { updateAccount } = useAccount()
  const [name, setName] = useState(self.name)
  const [error, setError] = useState<string>()
  const { busy, problem, done, attempt } = useAttempt()

  function submit(event: FormEvent) {
    event.preventDefault()
    if (busy) return
    if (!name.trim()) {
      setError(words.signIn.required)
      return
    }
    setError(undefined)
    void attempt(async () => setName((await updateAccount({ name })).name), text.nameDone)
  }

  return (
    <section className="dialog-section">
      <form className="dialog-form" data-testid="account-name" noValidate onSubmit={submit}>
        <Field label={words.signIn.name} hint={text.nameHint} error={error}>
          {(ids) => (
            <input
              {...ids}
              className="field"
              name="name"
              autoComplete="name"
              dir="auto"
              maxLength={MAX_NAME}
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        <Outcome problem={problem} done={done} />
        <Button look="line" type="submit" disabled={busy || name.trim() === self.name}>
          {text.nameSave}
        </Button>
      </form>
    </section>
  )
}

function PasswordForm() {
  const { changePassword } = useAccount()
  const form = useRef<HTMLFormElement>(null)
  const [errors, setErrors] = useState<{ current?: string; next?: string }>({})
  const { busy, problem, done, attempt } = useAttempt()

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    if (busy) return
    const data = new FormData(event.currentTarget)
    const current = String(data.get("current") ?? "")
    const next = String(data.get("next") ?? "")
    const found: typeof errors = {}
    if (!current) found.current = words.signIn.required
    if (!next) found.next = words.signIn.required
    else if ([...next].length < MIN_PASSWORD) found.next = words.signIn.passwordShort
    setErrors(found)
    const first = found.current ? "current" : found.next ? "next" : null
    if (first) {
      form.current?.querySelector<HTMLInputElement>(`[name="${first}"]`)?.focus()
      return
    }
    if (await attempt(() => changePassword({ current, next }), text.passwordDone)) form.current?.reset()
  }

  return (
    <Section title={text.passwordTitle} lead={text.passwordLead}>
      <form ref={form} className="dialog-form" data-testid="account-password" noValidate onSubmit={submit}>
        <Field label={text.current} error={errors.current}>
          {(ids) => (
            <input
              {...ids}
              className="field"
              name="current"
              type="password"
              autoComplete="current-password"
            />
          )}
        </Field>
        <Field label={text.next} hint={words.signIn.passwordHint} error={errors.next}>
          {(ids) => (
            <input {...ids} className="field" name="next" type="password" autoComplete="new-password" />
          )}
        </Field>
        <Outcome problem={problem} done={done} />
        <Button look="line" type="submit" disabled={busy}>
          {text.passwordSave}
        </Button>
      </form>
    </Section>
  )
}

function Everywhere({ onLeave }: { onLeave: () => void }) {
  const { logoutEverywhere } = useAccount()
  const { busy, problem, attempt } = useAttempt()
  return (
    <Section title={text.everywhereTitle} lead={text.everywhereLead}>
      <Outcome problem={problem} done={null} />
      <Button
        look="line"
        className="dialog-out"
        data-testid="sign-out-everywhere"
        disabled={busy}
        onClick={() => void attempt(() => logoutEverywhere().then(onLeave), "")}
      >
        {text.everywhere}
      </Button>
    </Section>
  )
}
