/** A message that may be folded has more than this: a short one is never measured. */
const MAX_CHARACTERS = 700
const MAX_LINES = 14
/** The characters in a line of the widest bubble. */
const LINE_CHARACTERS = 62
/** The hidden part is at least this share of the shown part; a smaller rest is shown as well. */
const LEAST_HIDDEN = 0.3

/** How many lines a text takes in a bubble, about; none is counted beyond `most`. */
export function linesOf(text: string, most: number): number {
  let lines = 0
  let from = 0
  while (lines < most) {
    const end = text.indexOf("\n", from)
    const length = (end < 0 ? text.length : end) - from
    lines += Math.max(1, Math.ceil(length / LINE_CHARACTERS))
    if (end < 0) break
    from = end + 1
  }
  return Math.min(lines, most)
}

/** Whether a text can be so high that it is folded. */
export const mayFold = (text: string): boolean =>
  text.length > MAX_CHARACTERS || linesOf(text, MAX_LINES + 1) > MAX_LINES

/** How high a folded message is, in pixels: about half of the screen, whatever covers it at the moment. */
export function foldHeight(rem: number, screenHeight: number): number {
  return Math.round(Math.min(30 * rem, 0.6 * screenHeight))
}

/** Whether content of this height is folded to that one. */
export const isFolded = (height: number, folded: number): boolean => height > folded * (1 + LEAST_HIDDEN)
