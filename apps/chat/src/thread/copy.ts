import type { ClipboardEvent } from "react"

/**
 * Copying over several messages keeps names and times: the browser's own copy would give bare text in the
 * order of the layout. Within one message the browser's copy is right.
 */
export function copyMessages(event: ClipboardEvent<HTMLElement>): void {
  const selection = getSelection()
  if (!selection || selection.isCollapsed) return
  const messages = [...event.currentTarget.querySelectorAll<HTMLElement>("[data-testid='message']")].filter(
    (message) => selection.containsNode(message, true),
  )
  if (messages.length < 2) return
  const text = messages
    .map((message) => {
      const { author, time } = message.dataset
      const bubble = message.querySelector<HTMLElement>("[data-content]")
      return `${author}, ${time}:\n${bubble ? selectedText(selection, bubble) : ""}`
    })
    .join("\n\n")
  event.clipboardData.setData("text/plain", text)
  event.preventDefault()
}

/** The selected part of a message. */
function selectedText(selection: Selection, bubble: HTMLElement): string {
  const whole = document.createRange()
  whole.selectNodeContents(bubble)
  const chosen = selection.getRangeAt(0).cloneRange()
  if (chosen.compareBoundaryPoints(Range.START_TO_START, whole) < 0)
    chosen.setStart(whole.startContainer, whole.startOffset)
  if (chosen.compareBoundaryPoints(Range.END_TO_END, whole) > 0)
    chosen.setEnd(whole.endContainer, whole.endOffset)
  return chosen.toString()
}
