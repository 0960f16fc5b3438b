import { describe, expect, it } from "vitest"
import { createHold, REST_MS } from "./hold"

/** A clock that advances on request. */
function setUp() {
  let now = 0
  let timers: { at: number; run: () => void }[] = []
  const changes: boolean[] = []
  const hold = createHold(
    (held) => changes.push(held),
    (ms, run) => {
      const timer = { at: now + ms, run }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
  )
  const pass = (ms: number) => {
    now += ms
    for (const timer of timers.filter(({ at }) => at <= now)) {
      timers = timers.filter((other) => other !== timer)
      timer.run()
    }
  }
  return { hold, changes, pass, pending: () => timers.length }
}

describe("freezing the order of a list", () => {
  it("lasts while the pointer moves, and ends when it has rested", () => {
    const { hold, changes, pass } = setUp()
    hold.pointerMoved()
    pass(REST_MS - 1)
    hold.pointerMoved()
    pass(REST_MS - 1)
    expect(changes).toEqual([true])
    pass(1)
    expect(changes).toEqual([true, false])
    hold.pointerMoved()
    expect(changes).toEqual([true, false, true])
  })

  it("ends at once when the pointer leaves or moves to another part", () => {
    const { hold, changes, pending } = setUp()
    hold.pointerMoved()
    hold.pointerLeft()
    hold.pointerMoved()
    hold.movedElsewhere()
    expect(changes).toEqual([true, false, true, false])
    expect(pending()).toBe(0)
  })

  it("lasts while the focus is in the list", () => {
    const { hold, changes, pass } = setUp()
    hold.pointerMoved()
    hold.focusChanged(true)
    pass(10 * REST_MS)
    expect(changes).toEqual([true])
    hold.focusChanged(false)
    expect(changes).toEqual([true, false])
  })

  it("leaves no timer behind", () => {
    const { hold, pending } = setUp()
    hold.pointerMoved()
    hold.dispose()
    expect(pending()).toBe(0)
  })
})
