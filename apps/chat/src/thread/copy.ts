import type { ClipboardEvent } from "react"

/**
 * Copying gives the source of what is selected, with the signs of its form. Over several messages it keeps names and times: the
 * browser's own copy would give bare text in the order of the layout.
 */
export function copyMessages(event: ClipboardEvent<HTMLElement>): void {
  const selection = getSelection()
  if (!selection || selection.isCollapsed) return
  const messages = [...event.currentTarget.querySelectorAll<HTMLElement>("[data-testid='message']")].filter(
    (message) => selection.containsNode(message, true),
  )
  const only = messages[0]
  if (!only) return
  const isOne = messages.length === 1
  // Within one message without a form the browser's copy is right.
  const formed = only.querySelector("[data-content] :is([data-before], [data-source], [data-quote])")
  if (isOne && !(formed && selection.containsNode(formed.closest("[data-content]") as Node, true))) return
  const text = isOne
    ? selectedText(selection, only)
    : messages
        .map((message) => {
          const { author, time } = message.dataset
          return `${author}, ${time}:\n${selectedText(selection, message)}`
        })
        .join("\n\n")
  event.clipboardData.setData("text/plain", text)
  event.preventDefault()
}

/** The source of the selected part of a message. */
function selectedText(selection: Selection, message: HTMLElement): string {
  const bubble = message.querySelector<HTMLElement>("[data-content]")
  if (!bubble) return ""
  const whole = document.createRange()
  whole.selectNodeContents(bubble)
  const chosen = selection.getRangeAt(0).cloneRange()
  if (chosen.compareBoundaryPoints(Range.START_TO_START, whole) < 0)
    chosen.setStart(whole.startContainer, whole.startOffset)
  if (chosen.compareBoundaryPoints(Range.END_TO_END, whole) > 0)
    chosen.setEnd(whole.endContainer, whole.endOffset)
  return sourceOf(chosen.cloneContents()).replace(/^\n+|\n+$/g, "")
}

/** The text of elements with the signs that they stand for. */
export function sourceOf(node: Node): string {
  if (node.nodeType === Node.TEXT_NODE) return node.nodeValue ?? ""
  const { before = "", after = "", source, quote } = node instanceof HTMLElement ? node.dataset : {}
  if (source !== undefined) return source
  let text = ""
  for (const child of node.childNodes) text += sourceOf(child)
  if (quote !== undefined) text = text.replace(/^(?!$)/gm, "> ").replace(/^$/gm, ">")
  return before + text + after
}
