/**
 * Whether the keyboard is in use, and not a pointer: a menu that it opens begins at the first item. A text field looks focused
 * whatever moved the focus there.
 */
export function isKeyboardInUse(): boolean {
  return document.activeElement?.matches(":focus-visible:not(input, textarea)") ?? false
}

/** Whether the line runs from right to left where `element` is. */
export const isRightToLeft = (element: Element): boolean => getComputedStyle(element).direction === "rtl"

/** The key as it is meant along the line: where that runs from right to left, the arrow to the left leads on. */
export function keyInLine({ key, currentTarget }: { key: string; currentTarget: EventTarget }): string {
  if (!(key === "ArrowLeft" || key === "ArrowRight")) return key
  return isRightToLeft(currentTarget as Element) ? (key === "ArrowLeft" ? "ArrowRight" : "ArrowLeft") : key
}
