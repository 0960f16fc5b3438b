import { afterEach, expect, test, vi } from "vitest"
import { chime, isViewed, setViewed, shouldNotify } from "./attention"

afterEach(() => {
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

test("F16 the state of a crashed tab expires after 45 s, and at once when the clock is set back", () => {
  const kept = new Map<string, string>()
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
  })
  vi.useFakeTimers({ now: 1_800_000_000_000 })
  setViewed("7")
  vi.setSystemTime(Date.now() + 44_000)
  expect(isViewed("7")).toBe(true)
  expect(isViewed("8")).toBe(false)
  vi.setSystemTime(Date.now() - 3_600_000)
  expect(isViewed("7")).toBe(false)
})

test("F33 a message is notified in one tab only, and not if it is silent or the user is busy", () => {
  const message = { conversationId: "7", isLeader: true, isSilent: false, isBusy: false }
  expect(shouldNotify(message)).toBe(true)
  expect(shouldNotify({ ...message, isLeader: false })).toBe(false)
  expect(shouldNotify({ ...message, isSilent: true })).toBe(false)
  expect(shouldNotify({ ...message, isBusy: true })).toBe(false)
})

test("48: a sound is dropped while the browser suspends audio, and not played later", () => {
  const tones: number[] = []
  let state = "suspended"
  const resume = vi.fn(async () => {})
  const node = {
    connect: () => node,
    frequency: {},
    gain: { setValueAtTime() {}, exponentialRampToValueAtTime() {} },
  }
  vi.stubGlobal(
    "AudioContext",
    class {
      currentTime = 0
      destination = node
      resume = resume
      get state() {
        return state
      }
      createGain = () => node
      createOscillator = () => ({ ...node, start: (at: number) => tones.push(at), stop() {} })
    },
  )
  chime()
  chime()
  expect(tones).toEqual([])
  // The user uses the page: only later messages make a sound.
  expect(resume).toHaveBeenCalled()
  state = "running"
  expect(tones).toEqual([])
  chime()
  expect(tones.length).toBe(2)
})
