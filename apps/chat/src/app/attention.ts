/** Notifications: which conversation each tab shows, a sound, and what the user has allowed. */

const LOOKING = "lamplight:looking"
const NOTIFY = "lamplight:notify"

function get(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

function put(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key)
    else localStorage.setItem(key, value)
  } catch {
    // Without storage each tab decides for itself.
  }
}

/** A tab that crashed cannot withdraw its entry, so entries expire. */
const LOOK_LASTS_MS = 45_000
export const RENEW_VIEWED_MS = 20_000

const tab = Math.random().toString(36).slice(2)

/**
 * Tells the other tabs which conversation the user looks at in this one; null when the user leaves the tab.
 */
export function setViewed(conversationId: string | null): void {
  if (conversationId !== null) put(LOOKING, [Date.now(), tab, conversationId].join(" "))
  else if (get(LOOKING)?.split(" ")[1] === tab) put(LOOKING, null)
}

/**
 * Whether the user looks at a conversation in any tab of this browser. Entries from before the clock was set
 * back are expired.
 */
export function isViewed(conversationId: string): boolean {
  const [at, , ...id] = (get(LOOKING) ?? "").split(" ")
  return id.join(" ") === conversationId && Math.abs(Date.now() - Number(at)) < LOOK_LASTS_MS
}

export function notificationsWanted(): boolean {
  return "Notification" in window && Notification.permission === "granted" && get(NOTIFY) === "on"
}

/**
 * Asks for permission, if the browser has not been asked yet. Resolves to whether notifications are allowed.
 */
export async function wantNotifications(wanted: boolean): Promise<boolean> {
  if (!wanted) {
    put(NOTIFY, null)
    return false
  }
  if (!("Notification" in window)) return false
  const permission =
    Notification.permission === "default" ? await Notification.requestPermission() : Notification.permission
  put(NOTIFY, permission === "granted" ? "on" : null)
  return permission === "granted"
}

/** Whether a message that arrives makes a sound and a notification: one rule for both. */
export function shouldNotify(message: {
  conversationId: string
  /** Whether this tab notifies, for all tabs of this browser. */
  isLeader: boolean
  /** Whether the user has muted the conversation. */
  isSilent: boolean
  /** Whether the user's status is Busy. */
  isBusy: boolean
}): boolean {
  const { conversationId, isLeader, isSilent, isBusy } = message
  return isLeader && !isSilent && !isBusy && !isViewed(conversationId)
}

let audio: AudioContext | null = null

/**
 * Two soft notes. A browser suspends sound until the user has used the page: then the sound is dropped, since
 * one that plays minutes later is of no use.
 */
export function chime(): void {
  audio ??= typeof AudioContext === "undefined" ? null : new AudioContext()
  if (!audio) return
  if (audio.state !== "running") {
    void audio.resume().catch(() => {})
    return
  }
  const start = audio.currentTime
  for (const [at, pitch] of [
    [0, 587.33],
    [0.11, 880],
  ] as const) {
    const tone = audio.createOscillator()
    const volume = audio.createGain()
    tone.frequency.value = pitch
    volume.gain.setValueAtTime(0.0001, start + at)
    volume.gain.exponentialRampToValueAtTime(0.06, start + at + 0.015)
    volume.gain.exponentialRampToValueAtTime(0.0001, start + at + 0.5)
    tone.connect(volume).connect(audio.destination)
    tone.start(start + at)
    tone.stop(start + at + 0.55)
  }
}
