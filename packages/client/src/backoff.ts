import { toError } from "./errors.js"

/** A delay in milliseconds that doubles with each attempt up to `lastMs`, shortened at random by up to a half. */
export function backoff(attempt: number, firstMs: number, lastMs: number, random: () => number): number {
  return Math.min(lastMs, firstMs * 2 ** Math.min(attempt, 16)) * (0.5 + random() / 2)
}

/** The delay after a failed attempt: `backoff`, but never shorter than the server requested. */
export function delayAfter(
  thrown: unknown,
  attempt: number,
  firstMs: number,
  lastMs: number,
  random: () => number,
): number {
  const asked = (toError(thrown).retryAfterMs ?? 0) * (1 + random() / 4)
  return Math.max(asked, backoff(attempt, firstMs, lastMs, random))
}
