/** A pointer that has not moved for this long is only lying there. */
export const REST_MS = 3_000

/** Runs something later, and gives back what calls it off. */
type After = (ms: number, run: () => void) => () => void

const after: After = (ms, run) => {
  const timer = setTimeout(run, ms)
  return () => clearTimeout(timer)
}

/**
 * Whether a list is held still for somebody: while their pointer moves over it, or they move through it with the keyboard.
 * A pointer left lying there, or somebody who writes elsewhere, holds nothing: what is new would stay out of sight.
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
    /** The pointer came, or moved. */
    pointed() {
      forget()
      forget = later(REST_MS, letGo)
      pointing = true
      tell()
    },
    left: letGo,
    /** A key was pressed, or the focus taken, outside of the list. */
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
