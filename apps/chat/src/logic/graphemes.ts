/** What a reader takes for one character. Making a segmenter takes longer than to use it a hundred times. */
export const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })
