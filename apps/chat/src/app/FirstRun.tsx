import { useMe } from "@lamplight/react"
import { Check, Link, Share } from "lucide-react"
import { useEffect, useState } from "react"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { copyText } from "../ui/clipboard"
import { showFailure } from "../ui/failure"
import { State } from "../ui/State"
import { useTouch } from "./hooks"

const text = words.firstRun

/** How long the button shows that the link was copied. */
const COPIED_MS = 2_000

/** The empty state of a new user: people to write to, and a link to invite others. */
export function FirstRun(props: {
  mode: "local" | "open" | "token"
  title: string
  /** Opens the people panel; omitted if the panel is in view. */
  onFind?: () => void
}) {
  const { mode, title, onFind } = props
  const isClosed = useMe().registration === "closed"
  // The host application brings its own people.
  const invites = mode !== "token"
  return (
    <State
      kind="empty"
      size="page"
      title={title}
      lead={invites ? (isClosed ? text.leadClosed : text.lead) : text.leadHost}
      action={
        <div className="first-run">
          {onFind && (
            <Button look={invites ? "line" : "primary"} onClick={onFind}>
              {words.list.emptyAction}
            </Button>
          )}
          {invites && <Invite />}
        </div>
      }
    />
  )
}

/** Shares the address of the page if the browser can, or else copies it. */
function Invite() {
  const [copied, setCopied] = useState(false)
  const isTouch = useTouch()
  const address = location.origin + location.pathname
  const shares = isTouch && typeof navigator.share === "function"
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), COPIED_MS)
    return () => clearTimeout(timer)
  }, [copied])

  async function copy() {
    try {
      await copyText(address)
      setCopied(true)
    } catch (thrown) {
      showFailure(words.message.copyFailed, thrown)
    }
  }

  async function share() {
    try {
      await navigator.share({ title: words.product, url: address })
    } catch (thrown) {
      // No person was chosen.
      if (thrown instanceof DOMException && thrown.name === "AbortError") return
      await copy()
    }
  }

  return (
    <>
      <Button
        look="primary"
        data-testid="invite"
        data-address={address}
        onClick={() => void (shares ? share() : copy())}
      >
        {copied ? (
          <Check size={18} aria-hidden="true" />
        ) : shares ? (
          <Share size={18} aria-hidden="true" />
        ) : (
          <Link size={18} aria-hidden="true" />
        )}
        {copied ? text.copied : shares ? text.share : text.copy}
      </Button>
      <p className="sr-only" role="status">
        {copied && text.copied}
      </p>
    </>
  )
}
