/**
 * Whether the keyboard is in use, and not a pointer: a menu that it opens begins at the first item. A text field looks focused
 * whatever moved the focus there.
 */
export function isKeyboardInUse(): boolean {
  return document.activeElement?.matches(":focus-visible:not(input, textarea)") ?? false
}
