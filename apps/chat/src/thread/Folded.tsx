import { ChevronDown, ChevronUp } from "lucide-react"
import { type ReactNode, useLayoutEffect, useRef, useState } from "react"
import { foldHeight, isFolded, mayFold } from "../logic/fold"
import { words } from "../strings"

/** Changes something, and keeps an element at its place on the screen meanwhile. */
export type Hold = (anchor: Element, change: () => void) => void

const withoutHold: Hold = (_, change) => change()

/** The messages that were opened, by their keys: a row that leaves the view and comes back is as it was. */
const opened = new Set<string>()

/** How high a folded message is here, in pixels. */
export function foldHeightHere(): number {
  return foldHeight(Number.parseFloat(getComputedStyle(document.documentElement).fontSize), screen.height)
}

/** The content of a message. A very long one is folded until the user opens it. */
export function Folded(props: { id: string; text: string; hold?: Hold | undefined; children: ReactNode }) {
  return mayFold(props.text) ? <Fold {...props} /> : props.children
}

function Fold({
  id,
  hold = withoutHold,
  children,
}: {
  id: string
  hold?: Hold | undefined
  children: ReactNode
}) {
  const [isOpen, setOpen] = useState(opened.has(id))
  const [height] = useState(foldHeightHere)
  const [isLong, setLong] = useState(true)
  const frame = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)

  // Before the paint: a text that turns out to be short has no button for a moment.
  useLayoutEffect(() => {
    const element = content.current
    if (!element) return
    const measure = () => setLong(isFolded(element.offsetHeight, height))
    measure()
    const watch = new ResizeObserver(measure)
    watch.observe(element)
    return () => watch.disconnect()
  }, [height])

  function open() {
    opened.add(id)
    if (frame.current) hold(frame.current, () => setOpen(true))
  }

  function close() {
    opened.delete(id)
    if (button.current) hold(button.current, () => setOpen(false))
  }

  const isCut = isLong && !isOpen
  const Icon = isOpen ? ChevronUp : ChevronDown
  return (
    <>
      <div
        ref={frame}
        className="fold"
        data-folded={isCut ? "" : undefined}
        style={isCut ? { maxHeight: height } : undefined}
        // The browser scrolls to a link that gets the focus, and to what it has found in the page.
        onScroll={({ currentTarget }) => {
          if (currentTarget.scrollTop === 0) return
          currentTarget.scrollTop = 0
          open()
          const focused = document.activeElement
          if (currentTarget.contains(focused)) focused?.scrollIntoView({ block: "nearest" })
        }}
      >
        <div ref={content}>{children}</div>
      </div>
      {isLong && (
        <button
          ref={button}
          type="button"
          className="fold-button"
          data-testid="fold"
          // A copy is of the message alone.
          data-source=""
          aria-expanded={isOpen}
          onClick={isOpen ? close : open}
        >
          <Icon size={16} aria-hidden="true" />
          {isOpen ? words.message.showLess : words.message.showMore}
        </button>
      )}
    </>
  )
}
