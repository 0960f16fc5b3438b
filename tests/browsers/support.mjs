import { until } from "../e2e/support/wait.mjs"

/** By test id. */
export const by = (id) => `[data-testid="${id}"]`

/** Adds the methods to a window that are the same for both browsers. */
export function launched(window) {
  const has = (text) => window.evaluate((wanted) => document.body?.innerText.includes(wanted), text)
  const isThere = (selector) =>
    window.evaluate((wanted) => {
      const element = document.querySelector(wanted)
      return element !== null && element.getClientRects().length > 0
    }, selector)
  return {
    ...window,
    /** Waits for a text. */
    shows: (text) => until(() => has(text), `the page shows "${text}"`),
    has,
    /** Waits for an element that can be seen. */
    finds: (selector) => until(() => isThere(selector), `the page has ${selector}`),
  }
}
