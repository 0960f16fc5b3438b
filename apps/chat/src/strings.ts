/**
 * All texts of the page, in the language that the user has chosen: `words.thread.unread(3)`. They are in languages/, one file for each
 * language; see docs/languages.md. No other file puts a sentence together.
 */
export { words } from "./languages/words"
