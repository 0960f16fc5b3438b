// Waits for conditions with a deadline, never for a fixed time.

/** How long a loaded machine may take for what a test waits for. A test that passes does not wait as long. */
export const PATIENCE_MS = 20_000

/**
 * Waits until `look` returns a true value, and returns it.
 * @template T
 * @param {() => T | Promise<T>} look
 */
export async function until(look, what = String(look), within = PATIENCE_MS) {
  const end = performance.now() + within
  for (;;) {
    const found = await look()
    if (found) return found
    if (performance.now() > end) throw new Error(`This did not come true within ${within} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Lets time pass in which something must *not* happen. */
export const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** @param {Promise<unknown>} promise */
export async function within(promise, ms, what = "this") {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
