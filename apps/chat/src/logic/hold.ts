/** A pointer that has not moved for this long does not count. */
export const REST_MS = 3_000

/** Runs something later. Returns a function that cancels it. */
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
  let cancelTimer = () => {}

  function update(): void {
    if (held === (pointing || focus)) return
    held = !held
    changed(held)
  }

  function release(): void {
    cancelTimer()
    pointing = false
    update()
  }

  return {
    /** The pointer entered or moved. */
    pointerMoved() {
      cancelTimer()
      cancelTimer = later(REST_MS, release)
      pointing = true
      update()
    },
    pointerLeft: release,
    /** A key was pressed, or the focus moved, outside of the list. */
    movedElsewhere() {
      focus = false
      release()
    },
    focusChanged(inside: boolean) {
      focus = inside
      update()
    },
    dispose: () => cancelTimer(),
  }
}
