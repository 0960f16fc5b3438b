/** The parts of a key press that decide what Enter means. */
export interface KeyPress {
  key: string
  shiftKey: boolean
  ctrlKey: boolean
  metaKey: boolean
  altKey: boolean
  isComposing: boolean
  keyCode: number
  timeStamp: number
}

/** Safari ends a composition before it reports the Enter that chose the word; this long, Enter still belongs to it. */
const COMPOSITION_TAIL_MS = 120

/**
 * Whether a key press in the composer sends. Enter sends; Shift+Enter breaks the line; while a word is being
 * composed (Japanese, Chinese, Korean and many keyboards) or has just been, Enter chooses the word. On touch,
 * Enter is a new line and the button sends, for there is no Shift+Enter there; Ctrl or Cmd+Enter sends anywhere.
 */
export function sends(press: KeyPress, touch: boolean, composedAt: number): boolean {
  if (press.key !== "Enter" || press.shiftKey || press.altKey) return false
  if (press.isComposing || press.keyCode === 229) return false
  if (press.timeStamp - composedAt < COMPOSITION_TAIL_MS) return false
  return press.ctrlKey || press.metaKey || !touch
}
