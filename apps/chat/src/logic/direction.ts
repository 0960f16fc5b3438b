const LETTER = /\p{L}/u

/**
 * The `dir` of a text: the direction of its first letter. A text without letters, such as an emoji or a number, has the
 * page's direction: `auto` would make it, and a quote or file beside it, left to right.
 */
export const dirOfText = (text: string): "auto" | undefined => (LETTER.test(text) ? "auto" : undefined)
