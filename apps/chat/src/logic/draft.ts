/**
 * Whether the field takes a draft that changed in another tab with the same conversation. A user who writes
 * here keeps the text, and a text that was sent there does not stay here to be sent twice.
 */
export function acceptsDraft(now: {
  /** The text in the field. */
  field: string
  /** The draft before the change. */
  before: string
  draft: string
  /** Whether the text was typed into this field. */
  typed: boolean
  /** Whether the field has the focus. */
  focused: boolean
}): boolean {
  const { field, before, draft, typed, focused } = now
  if (draft === "") return field === before
  return !focused && (!typed || draft.includes(field))
}
