/** For the tests of the page's logic: the texts as a page has them, in English. */
import { loadWords } from "./words"

await loadWords("en")
