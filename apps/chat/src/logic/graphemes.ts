/** Graphemes: user-perceived characters. Creating a segmenter takes longer than using it a hundred times. */
export const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })
