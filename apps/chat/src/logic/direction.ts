const LETTER = /\p{L}/u

/**
 * The `dir` of a text: that of its first letter. What has no letter, such as an emoji or a number, runs as the page does: `auto` would let
 * it run from left to right, and a quote or a file beside it with it.
 */
export const dirOfText = (text: string): "auto" | undefined => (LETTER.test(text) ? "auto" : undefined)
