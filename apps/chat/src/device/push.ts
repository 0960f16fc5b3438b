/** Pushes to this device: what the browser can do, and turning them on and off. Loaded with the user's menu. */
import {
  type Credentials,
  isFor,
  keyBytes,
  removeSubscription,
  saveSubscription,
  serverKey,
} from "../worker/subscription"
import { type NoticeChoice, pushChoice, setPushChoice } from "./choice"
import { forgetDevice, postToWorker, workerRegistration } from "./worker"

/** The reason why push is unavailable; null if it is available. */
export type Obstacle = "unsupported" | "install" | "server" | "denied" | "unknown" | null

/** The user of the device, and the headers that identify the user. */
export interface Person {
  userId: string
  /** If tokens identify the user. */
  token: string | undefined
  /** Whether the cookie identifies the user. */
  hasCookie: boolean
}

const credentials = ({ userId, token }: Person): Credentials => ({
  // Headers hold Latin-1, ids hold all of Unicode. With a cookie, which may be another user's by now, the server compares it.
  "x-user-id": encodeURIComponent(userId.replace(/\p{Surrogate}/gu, "\ufffd")),
  ...(token && { authorization: `Bearer ${token}` }),
})

const isStandalone = () =>
  matchMedia("(display-mode: standalone)").matches ||
  (navigator as { standalone?: boolean }).standalone === true

/** iPads pretend to be Macs. */
const isIos = () =>
  /iphone|ipad|ipod/i.test(navigator.userAgent) ||
  (/mac/i.test(navigator.platform) && navigator.maxTouchPoints > 1)

/** Checks what prevents notifications. Requests the server's key, and never asks the user. */
export async function obstacle(person: Person): Promise<Obstacle> {
  if (isIos() && !isStandalone() && !("PushManager" in window)) return "install"
  const registration = await workerRegistration()
  if (!registration || !("Notification" in window) || !registration.pushManager) return "unsupported"
  try {
    if ((await serverKey(credentials(person))) === null) return "server"
  } catch {
    return "unknown"
  }
  return Notification.permission === "denied" ? "denied" : null
}

/**
 * The effective choice: the stored one, if the browser still has the subscription and the
 * permission.
 */
export async function currentChoice(userId: string): Promise<NoticeChoice> {
  const subscription = await (await workerRegistration())?.pushManager?.getSubscription()
  return subscription && Notification.permission === "granted" ? pushChoice(userId) : "off"
}

/** Turns pushes on or off, and asks the user for permission if need be: after a press only. Resolves to what is in force. */
export async function choose(person: Person, choice: NoticeChoice): Promise<NoticeChoice> {
  if (choice === "off") {
    await turnOff(person)
    return "off"
  }
  if (Notification.permission !== "granted" && (await Notification.requestPermission()) !== "granted")
    return currentChoice(person.userId)
  await subscribe(person, choice)
  return choice
}

async function subscribe(person: Person, choice: "on" | "private"): Promise<void> {
  const { userId, hasCookie } = person
  const registration = await workerRegistration()
  const who = credentials(person)
  const key = await serverKey(who)
  if (!registration || !key) throw new Error("This server sends no pushes.")
  let subscription = await registration.pushManager.getSubscription()
  // The server has another key now, or the subscription is a former user's.
  if (subscription && (!isFor(subscription, key) || pushChoice(userId) === "off")) {
    await subscription.unsubscribe()
    subscription = null
  }
  subscription ??= await registration.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: keyBytes(key),
  })
  const content = choice === "on"
  postToWorker({ type: "owner", owner: { userId, hasCookie, content } })
  await saveSubscription(subscription, content, key, who)
  setPushChoice(userId, choice)
}

async function turnOff(person: Person): Promise<void> {
  const subscription = await (await workerRegistration())?.pushManager?.getSubscription()
  setPushChoice(person.userId, "off")
  await forgetDevice()
  // The browser's subscription is gone: the server detects that with its next push at the latest.
  if (subscription) await removeSubscription(subscription.endpoint, credentials(person)).catch(() => {})
}

/**
 * Runs once for each start of the page: subscribes again if the browser or the server lost the subscription, and ends a
 * subscription of another user.
 */
export async function checkDevice(person: Person): Promise<void> {
  const choice = pushChoice(person.userId)
  if (choice === "off") await forgetDevice()
  else if (Notification.permission === "granted") await subscribe(person, choice)
}

/** Called when the user signs out. The end of a session ends its subscriptions on the server. */
export async function leaveDevice(person: Person): Promise<void> {
  if (pushChoice(person.userId) === "off") return
  if (person.hasCookie) {
    setPushChoice(person.userId, "off")
    await forgetDevice()
  } else await turnOff(person)
}
