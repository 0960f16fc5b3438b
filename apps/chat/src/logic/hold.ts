/** A pointer that has not moved for this long does not count. */
export const REST_MS = 3_000

/** Runs something later. Returns what cancels it. */
type After = (ms: number, run: () => void) => () => void

const after: After = (ms, run) => {
  const timer = setTimeout(run, ms)
  return () => clearTimeout(timer)
}

/**
 * Whether a list keeps its order: while the pointer moves over it, or the user moves through it with the
 * keyboard. A pointer that rests there, or a user who writes elsewhere, does not count: new conversations
 * would stay out of sight.
 */
export function createHold(changed: (held: boolean) => void, later: After = after) {
  let pointing = false
  let focus = false
  let held = false
  let forget = () => {}

  function tell(): void {
    if (held === (pointing || focus)) return
    held = !held
    changed(held)
  }

  function letGo(): void {
    forget()
    pointing = false
    tell()
  }

  return {
    /** The pointer entered or moved. */
    pointed() {
      forget()
      forget = later(REST_MS, letGo)
      pointing = true
      tell()
    },
    left: letGo,
    /** A key was pressed, or the focus moved, outside of the list. */
    elsewhere() {
      focus = false
      letGo()
    },
    focused(inside: boolean) {
      focus = inside
      tell()
    },
    end: () => forget(),
  }
}
