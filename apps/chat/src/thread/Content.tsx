import { Check, Copy } from "lucide-react"
import { Fragment, memo, type ReactNode, useEffect, useMemo, useState } from "react"
import type { Inline } from "../logic/inline"
import { type Block, parseMarkup } from "../logic/markup"
import type { Mentionable } from "../logic/mentions"
import { words } from "../strings"
import { IconButton } from "../ui/Button"
import { copyText } from "../ui/clipboard"
import { showFailure } from "../ui/failure"
import { useThreadActions } from "./actions"

/**
 * The content of a message: text with emphasis, lists, quotes and code, links that are safe to follow, and mentions. Elements that
 * stand for signs carry them (`data-before`, `data-after`, `data-source`, `data-quote`), so that a copy has the source: see `copy.ts`.
 */
export const Content = memo(function Content({
  text,
  mentions,
}: {
  text: string
  mentions: readonly string[]
}) {
  return mentions.length > 0 ? (
    <WithMentions text={text} ids={mentions} />
  ) : (
    <Parsed text={text} people={noPeople} />
  )
})

const noPeople: readonly Mentionable[] = []

function WithMentions({ text, ids }: { text: string; ids: readonly string[] }) {
  const { memberName } = useThreadActions()
  const people = useMemo(() => ids.map((id) => ({ id, name: memberName(id) })), [ids, memberName])
  return <Parsed text={text} people={people} />
}

function Parsed({ text, people }: { text: string; people: readonly Mentionable[] }) {
  const blocks = useMemo(() => parseMarkup(text, people), [text, people])
  return drawBlocks(blocks)
}

// Functions and not components: a thread opens with a screen of texts, and each component of each text would cost it time.
// The parts of a text never change their order, so that their index is a stable key.
function drawBlocks(blocks: readonly Block[]): ReactNode {
  return blocks.map((block, i) => {
    const key = `${i}`
    return (
      <Fragment key={key}>
        {i > 0 && <span data-source={"\n"} />}
        {drawBlock(block, i === 0, i === blocks.length - 1)}
      </Fragment>
    )
  })
}

function drawBlock(block: Block, isFirst: boolean, isLast: boolean): ReactNode {
  switch (block.kind) {
    case "text":
      return drawText(block.lines, isFirst, isLast)
    case "code":
      return <CodeBlock block={block} />
    case "quote":
      return (
        <blockquote className="said" data-quote="">
          {drawBlocks(block.blocks)}
        </blockquote>
      )
    case "list": {
      const List = block.isNumbered ? "ol" : "ul"
      const digits = Math.max(...block.items.map(({ number }) => `${number ?? ""}`.length))
      return (
        <List className="list" style={{ paddingInlineStart: `${digits * 0.625 + 1}em` }}>
          {block.items.map(({ mark, number, level, children }, i) => {
            const key = `${i}`
            return (
              <li
                key={key}
                value={number ?? undefined}
                data-level={level || undefined}
                data-before={(i > 0 ? "\n" : "") + mark}
              >
                {drawLine(children)}
              </li>
            )
          })}
        </List>
      )
    }
  }
}

/** Lines of text. Empty ones beside another block are in its margin. */
function drawText(lines: readonly Inline[][], isFirst: boolean, isLast: boolean): ReactNode {
  let from = 0
  let to = lines.length
  if (!isFirst) while (from < to && lines[from]?.length === 0) from += 1
  if (!isLast) while (to > from && lines[to - 1]?.length === 0) to -= 1
  const shown: ReactNode[] = []
  for (let i = from; i < to; i += 1) {
    if (i > from) shown.push("\n")
    shown.push(<Fragment key={i}>{drawLine(lines[i] ?? [])}</Fragment>)
  }
  const isEmpty = shown.length === 0
  return (
    <>
      {from > 0 && <span data-source={"\n".repeat(isEmpty ? from - 1 : from)} />}
      {!isEmpty && <span>{shown}</span>}
      {to < lines.length && !isEmpty && <span data-source={"\n".repeat(lines.length - to)} />}
    </>
  )
}

function drawLine(nodes: readonly Inline[]): ReactNode {
  return nodes.map((node, i) => {
    const key = `${i}`
    switch (node.kind) {
      case "text":
        return <Fragment key={key}>{node.text}</Fragment>
      case "link":
        return (
          // An address reads from left to right, and no sign before it that turns the direction reaches into it.
          <a key={key} dir="ltr" href={node.href} target="_blank" rel="noopener noreferrer nofollow">
            {node.text}
          </a>
        )
      case "code":
        return (
          <code key={key} dir="ltr" data-before={node.before} data-after={node.after}>
            {node.text}
          </code>
        )
      case "mention":
        return <Mention key={key} text={node.text} id={node.id} />
      default: {
        const Emphasis = elements[node.kind]
        return (
          <Emphasis key={key} data-before={node.mark} data-after={node.mark}>
            {drawLine(node.children)}
          </Emphasis>
        )
      }
    }
  })
}

const elements = { strong: "strong", em: "em", strike: "s" } as const

/** The name of somebody who is mentioned, set off. */
function Mention({ text, id }: { text: string; id: string }) {
  const { selfId } = useThreadActions()
  return (
    <span className="mention" data-testid="mention" data-me={id === selfId ? "" : undefined}>
      {text}
    </span>
  )
}

function CodeBlock({ block }: { block: Block & { kind: "code" } }) {
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), 2_000)
    return () => clearTimeout(timer)
  }, [copied])
  const text = block.lines.map((line) => line.text).join("\n")

  async function copy() {
    try {
      await copyText(text)
      setCopied(true)
    } catch (thrown) {
      showFailure(words.message.copyFailed, thrown)
    }
  }

  return (
    <div
      className="code-block"
      data-before={`${block.open}\n`}
      data-after={block.lines.length > 0 ? `\n${block.close}` : block.close}
    >
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
