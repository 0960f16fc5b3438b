/**
 * The order to show while a list is frozen: known conversations keep their places and new ones go to the end.
 * Rows that move under a pointer make people open the wrong conversation.
 */
export function frozenOrder(
  shown: readonly string[],
  wanted: readonly string[],
  held: boolean,
): readonly string[] {
  if (!held) return same(shown, wanted) ? shown : wanted
  const present = new Set(wanted)
  const kept = shown.filter((id) => present.has(id))
  const known = new Set(kept)
  const next = [...kept, ...wanted.filter((id) => !known.has(id))]
  return same(shown, next) ? shown : next
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i])
}
