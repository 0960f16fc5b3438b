/**
 * The widths at which the layout changes, in em of the browser's own text size: larger text gets the layout of a narrower
 * window, and no column is left too narrow for it. The style sheets repeat these conditions, which raw.test.ts checks.
 */

/** One panel at a time: below 760 px at the usual size of text. */
export const PHONE = "(width < 47.5em)"
/** Three panels side by side: from 1100 px on. */
export const WIDE = "(width >= 68.75em)"
/** Fewer than 20 letters of the widest kind in a line: a phone with text of twice its size. Side by side becomes one above the other. */
export const TIGHT = "(width < 20em)"
/** Dialogs are sheets at the lower edge. */
export const LOW_DIALOG = "(width < 30em)"
