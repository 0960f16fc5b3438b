import type { User } from "@lamplight/client"
import { type KeyboardEvent, type RefObject, useCallback, useId, useMemo, useRef, useState } from "react"
import { flushSync } from "react-dom"
import { nameOf } from "../logic/members"
import { mentionedIds, mentionQuery, offered } from "../logic/mentions"

/** Completes mentions in a field: `@` offers the other members. The field keeps the focus. */
export function useMentions(props: {
  field: RefObject<HTMLTextAreaElement | null>
  text: string
  write: (text: string) => void
  members: readonly User[]
  selfId: string
}) {
  const { field, text, write, members, selfId } = props
  const listId = useId()
  const [caret, setCaret] = useState<number | null>(null)
  const [at, setAt] = useState(0)
  /** Where the `@` stands whose list was closed. */
  const [closed, setClosed] = useState<number | null>(null)
  const chosen = useRef(new Set<string>())

  const people = useMemo(
    () => members.filter(({ id }) => id !== selfId).map((user) => ({ ...user, name: nameOf(user) })),
    [members, selfId],
  )
  const found = caret === null ? null : mentionQuery(text, caret)
  const isOpen = found !== null && found.start !== closed
  const options = isOpen ? offered(found.query, people) : []
  const active = Math.min(at, options.length - 1)

  /** After each change of the text or of the selection. */
  const look = useCallback(() => {
    const element = field.current
    const isHere = element !== null && element === document.activeElement
    const place = isHere && element.selectionStart === element.selectionEnd ? element.selectionStart : null
    setCaret(place)
    setAt(0)
    if (!element || place === null || !mentionQuery(element.value, place)) setClosed(null)
  }, [field])

  function choose(person: { id: string; name: string }) {
    if (!found || caret === null) return
    chosen.current.add(person.id)
    const inserted = `@${person.name} `
    const next = text.slice(0, found.start) + inserted + text.slice(caret).replace(/^ /, "")
    const place = found.start + inserted.length
    flushSync(() => {
      write(next)
      setCaret(place)
      setClosed(found.start)
    })
    field.current?.focus()
    field.current?.setSelectionRange(place, place)
  }

  /** Whether the list handled the key. */
  function onKey(event: KeyboardEvent): boolean {
    const person = options[active]
    if (!person || event.nativeEvent.isComposing || event.ctrlKey || event.metaKey || event.altKey)
      return false
    if (event.key === "ArrowDown") setAt((active + 1) % options.length)
    else if (event.key === "ArrowUp") setAt((active + options.length - 1) % options.length)
    else if ((event.key === "Enter" && !event.shiftKey) || (event.key === "Tab" && !event.shiftKey))
      choose(person)
    else if (event.key === "Escape") setClosed(found?.start ?? null)
    else return false
    event.preventDefault()
    return true
  }

  const mentions = useCallback((content: string) => mentionedIds(content, people, chosen.current), [people])

  const isShown = options.length > 0
  return {
    listId,
    options,
    active,
    choose,
    look,
    onKey,
    /** The ids of users that a text mentions. */
    mentions,
    /** For the field: a text field with a list of completions. */
    aria: {
      "aria-autocomplete": "list",
      "aria-haspopup": "listbox",
      "aria-controls": isShown ? listId : undefined,
      "aria-activedescendant": isShown ? `${listId}-${active}` : undefined,
    } as const,
  }
}
