import { Check, Copy } from "lucide-react"
import { memo, type ReactNode, useEffect, useState } from "react"
import { mentionsIn } from "../logic/mentions"
import { tokenise } from "../logic/tokens"
import { words } from "../strings"
import { IconButton } from "../ui/Button"
import { copyText } from "../ui/clipboard"
import { showFailure } from "../ui/failure"
import { useThreadActions } from "./actions"

/** The content of a message: text as typed, links that are safe to follow, and code. */
export const Content = memo(function Content(props: { text: string; mentions: readonly string[] }) {
  const { text, mentions } = props
  return tokenise(text).map((token, i) => {
    // The tokens of a text never change their order, so the index is a stable key.
    const key = `${i}`
    switch (token.kind) {
      case "text":
        return mentions.length > 0 ? (
          <Mentions key={key} text={token.text} ids={mentions} />
        ) : (
          <span key={key}>{token.text}</span>
        )
      case "link":
        return (
          <a key={key} href={token.href} target="_blank" rel="noopener noreferrer nofollow">
            {token.text}
          </a>
        )
      case "code":
        return (
          <code key={key} dir="ltr">
            {token.text}
          </code>
        )
      default:
        return <CodeBlock key={key} text={token.text} />
    }
  })
})

/** A text with the names of those who are mentioned set off. */
function Mentions({ text, ids }: { text: string; ids: readonly string[] }) {
  const { memberName, selfId } = useThreadActions()
  const people = ids.map((id) => ({ id, name: memberName(id) }))
  const parts: ReactNode[] = []
  let at = 0
  for (const { start, end, id } of mentionsIn(text, people)) {
    parts.push(
      text.slice(at, start),
      <span key={start} className="mention" data-testid="mention" data-me={id === selfId ? "" : undefined}>
        {text.slice(start, end)}
      </span>,
    )
    at = end
  }
  return (
    <span>
      {parts}
      {text.slice(at)}
    </span>
  )
}

function CodeBlock({ text }: { text: string }) {
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), 2_000)
    return () => clearTimeout(timer)
  }, [copied])

  async function copy() {
    try {
      await copyText(text)
      setCopied(true)
    } catch (thrown) {
      showFailure(words.message.copyFailed, thrown)
    }
  }

  return (
    <div className="code-block">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: long lines scroll, and must do so with the keyboard too */}
      <pre dir="ltr" tabIndex={0}>
        <code>{text}</code>
      </pre>
      <IconButton
        label={copied ? words.thread.copied : words.thread.copyCode}
        className="code-copy"
        onClick={() => void copy()}
      >
        {copied ? <Check size={16} aria-hidden="true" /> : <Copy size={16} aria-hidden="true" />}
      </IconButton>
    </div>
  )
}
