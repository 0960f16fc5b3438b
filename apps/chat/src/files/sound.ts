/** Plays audio through one element for the whole page, so that one file plays at a time and continues while its row is not in the document. */
import { useEffect, useSyncExternalStore } from "react"

/** The known state of audio that was played or seeked. */
export interface Sound {
  /** `waiting`: it is to play, and its bytes are on their way. */
  state: "paused" | "waiting" | "playing" | "failed"
  /** In seconds. */
  time: number
  /** In seconds; null: not known yet. */
  duration: number | null
}

/** An audio file and the address of its bytes. */
export interface Source {
  id: string
  address: string
  name: string
  /** The duration that is known before it is loaded, in seconds. */
  duration: number | null
}

const UNTOUCHED: Sound = { state: "paused", time: 0, duration: null }
const SPEEDS = [1, 1.5, 2]
const SPEED_KEY = "lamplight:sound-speed"
/** The polling interval while audio plays: its own events are too rare for a moving bar. */
const LOOK_MS = 100
/** Browser recordings have no duration: seeking past the end reveals it. */
const BEHIND_THE_END = 1e7

const sounds = new Map<string, Sound>()
const listeners = new Set<() => void>()
let element: HTMLAudioElement | null = null
let current: Source | null = null
/** The position to return to once the length is known; null: the length is not being determined. */
let measuringFrom: number | null = null
let timer: ReturnType<typeof setInterval> | undefined
let speed = storedSpeed()

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function notify(): void {
  for (const listener of listeners) listener()
}

function update(id: string, change: Partial<Sound>): void {
  sounds.set(id, { ...(sounds.get(id) ?? UNTOUCHED), ...change })
  notify()
}

/** The state of a sound. */
export function useSound(id: string): Sound {
  return useSyncExternalStore(subscribe, () => sounds.get(id) ?? UNTOUCHED)
}

/** How many players of a sound are in the document. */
const shown = new Map<string, number>()

/** Says that a player of this sound is in the document. */
export function useShown(id: string): void {
  useEffect(() => {
    const count = (by: number) => {
      shown.set(id, (shown.get(id) ?? 0) + by)
      if (!shown.get(id)) shown.delete(id)
      notify()
    }
    count(1)
    return () => count(-1)
  }, [id])
}

/** The sound that plays, or played last, where no player of it is in the document. */
export function useSoundElsewhere(): Source | null {
  return useSyncExternalStore(subscribe, () => (current && !shown.has(current.id) ? current : null))
}

export function useSpeed(): number {
  return useSyncExternalStore(subscribe, () => speed)
}

/** From one speed to the next, for all sounds, also of later visits. */
export function nextSpeed(): void {
  speed = SPEEDS[(SPEEDS.indexOf(speed) + 1) % SPEEDS.length] ?? 1
  if (element) element.playbackRate = speed
  try {
    localStorage.setItem(SPEED_KEY, String(speed))
  } catch {}
  notify()
}

function storedSpeed(): number {
  try {
    return SPEEDS.find((one) => String(one) === localStorage.getItem(SPEED_KEY)) ?? 1
  } catch {
    return 1
  }
}

/** Plays a sound from where it was left; another one, or a video, stops. */
export function playSound(source: Source): void {
  element ??= made()
  const audio = element
  for (const video of document.querySelectorAll("video")) video.pause()
  const { state, time } = sounds.get(source.id) ?? UNTOUCHED
  if (current?.id !== source.id || state === "failed") {
    pauseSound()
    measuringFrom = null
    current = source
    audio.src = source.address
    audio.defaultPlaybackRate = speed
    audio.playbackRate = speed
    audio.currentTime = time
  }
  update(source.id, { state: "waiting" })
  // Events report the result.
  audio.play().catch(() => {})
}

/** Pauses the playing audio. */
export function pauseSound(): void {
  if (!element || !current) return
  element.pause()
  const { state } = sounds.get(current.id) ?? UNTOUCHED
  if (state !== "failed") update(current.id, { state: "paused" })
}

/** Moves to a time in a sound, in seconds, whether it plays or not. */
export function seekSound(id: string, time: number): void {
  if (element && current?.id === id) element.currentTime = time
  update(id, { time })
}

/** The row of a sound is gone for good, and so is its address. */
export function dropSound(id: string): void {
  if (current?.id === id) {
    pauseSound()
    element?.removeAttribute("src")
    element?.load()
    current = null
  }
  sounds.delete(id)
}

const EVENTS = ["play", "playing", "pause", "waiting", "canplay", "timeupdate", "seeked", "durationchange"]

function made(): HTMLAudioElement {
  const audio = new Audio()
  audio.preload = "auto"
  for (const name of EVENTS) audio.addEventListener(name, () => look(audio))
  audio.addEventListener("loadedmetadata", () => measure(audio))
  audio.addEventListener("error", () => current && update(current.id, { state: "failed" }))
  audio.addEventListener("ended", () => {
    audio.currentTime = 0
    look(audio)
  })
  return audio
}

/** Finds the length of a recording of this page, whose bytes are here. */
function measure(audio: HTMLAudioElement): void {
  if (!current || Number.isFinite(audio.duration) || !current.address.startsWith("blob:")) return
  measuringFrom = (sounds.get(current.id) ?? UNTOUCHED).time
  audio.currentTime = BEHIND_THE_END
}

/** Copies the state of the element. */
function look(audio: HTMLAudioElement): void {
  if (!current) return
  const isKnown = Number.isFinite(audio.duration) && audio.duration > 0
  if (measuringFrom !== null) {
    if (!isKnown) return
    const from = measuringFrom
    measuringFrom = null
    audio.currentTime = from
    // The end was reached meanwhile.
    if (audio.paused && sounds.get(current.id)?.state === "waiting") audio.play().catch(() => {})
  }
  const { state: before } = sounds.get(current.id) ?? UNTOUCHED
  if (before === "failed" && audio.error) return
  const state = audio.paused ? "paused" : audio.readyState < 3 ? "waiting" : "playing"
  const duration = isKnown ? audio.duration : current.duration
  clearInterval(timer)
  if (state === "playing" && !matchMedia("(prefers-reduced-motion: reduce)").matches)
    timer = setInterval(() => look(audio), LOOK_MS)
  update(current.id, { state, time: audio.currentTime, duration })
}
