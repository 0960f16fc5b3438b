/**
 * Whether the field takes what the draft has become elsewhere, in another tab that shows the same conversation. Who writes here keeps what they wrote, and what was sent there does not stay here to be
 * sent once more.
 */
export function takesDraft(now: {
  /** What the field shows. */
  field: string
  /** What the draft was until now. */
  before: string
  draft: string
  /** Whether what the field shows was typed in it. */
  typed: boolean
  /** Whether somebody is in the field. */
  focused: boolean
}): boolean {
  const { field, before, draft, typed, focused } = now
  if (draft === "") return field === before
  return !focused && (!typed || draft.includes(field))
}
