/** The parts of a key press that decide what Enter does. */
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

/**
 * Safari ends a composition before it reports the Enter that chose the word: for this long, Enter still
 * belongs to the composition.
 */
const COMPOSITION_TAIL_MS = 120

/**
 * Whether a key press in the composer sends. Enter sends and Shift+Enter breaks the line. During a
 * composition (Japanese, Chinese, Korean and many keyboards), and right after it, Enter chooses the word. On
 * touch Enter breaks the line, since there is no Shift+Enter; Ctrl or Cmd+Enter sends everywhere.
 */
export function sends(press: KeyPress, touch: boolean, composedAt: number): boolean {
  if (press.key !== "Enter" || press.shiftKey || press.altKey) return false
  if (press.isComposing || press.keyCode === 229) return false
  if (press.timeStamp - composedAt < COMPOSITION_TAIL_MS) return false
  return press.ctrlKey || press.metaKey || !touch
}
