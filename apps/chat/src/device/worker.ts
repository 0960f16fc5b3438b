/**
 * The service worker of the page: its registration, and whether it is of a newer build. Without a secure context there is none, and
 * the page works without it.
 */
import { cacheOf, PAGE, type Read, type ToWorker } from "../worker/messages"

/** The minimum time between two checks for updates. */
const MIN_CHECK_INTERVAL_MS = 60_000
/** After a restart of the server all pages reconnect at once: their checks are spread over this time. */
const SPREAD_MS = 120_000
/** A page that was hidden for longer than this checks for an update. */
const OLD_MS = 3_600_000

const hasWorkers = import.meta.env.PROD && "serviceWorker" in navigator
const version = document.querySelector<HTMLMetaElement>('meta[name="build"]')?.content ?? ""

let registration: ServiceWorkerRegistration | null = null
let registering: Promise<ServiceWorkerRegistration | null> = Promise.resolve(null)
let checkedAt = 0
let isNewer = false
const listeners = new Set<() => void>()

/** Registers the worker once the page is loaded. Called once at the start. */
export function startWorker(): void {
  if (!hasWorkers) return
  // The worker keeps the files of this build for as long as the page is open.
  void navigator.locks
    ?.request(cacheOf(version), { mode: "shared" }, () => new Promise(() => {}))
    .catch(() => {})
  registering = new Promise<void>((resolve) => {
    if (document.readyState === "complete") resolve()
    else addEventListener("load", () => resolve(), { once: true })
  })
    .then(() => navigator.serviceWorker.register(`${PAGE}/sw.js`, { scope: PAGE, updateViaCache: "none" }))
    // Storage may be forbidden, or the server away: the next visit retries.
    .catch(() => null)
    .then((found) => {
      registration = found ?? null
      checkedAt = Date.now()
      return registration
    })
  navigator.serviceWorker.addEventListener("controllerchange", () => void compare())
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && Date.now() - checkedAt > OLD_MS) lookForUpdate(0)
  })
}

/** The registration, once there is one; null where there can be none. */
export const workerRegistration = (): Promise<ServiceWorkerRegistration | null> => registering

/** Checks whether the server has a newer build, for example after a lost connection. */
export function lookForUpdate(withinMs = SPREAD_MS): void {
  if (!registration || Date.now() - checkedAt < MIN_CHECK_INTERVAL_MS) return
  checkedAt = Date.now()
  setTimeout(() => registration?.update().catch(() => {}), Math.random() * withinMs)
}

function answerOf(worker: ServiceWorker, question: ToWorker): Promise<unknown> {
  const { port1, port2 } = new MessageChannel()
  return new Promise((resolve) => {
    port1.onmessage = ({ data }) => resolve(data)
    worker.postMessage(question, [port2])
  })
}

async function compare(): Promise<void> {
  const { controller } = navigator.serviceWorker
  if (!controller) return
  isNewer = String(await answerOf(controller, { type: "version" })) !== version
  for (const listener of listeners) listener()
}

/** Whether the worker, and so the server, is of a newer build than this page. */
export const newerBuild = {
  subscribe(listener: () => void): () => void {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
  get: (): boolean => isNewer,
}

/** Sends a message to the active worker. Returns whether there is one. */
export function postToWorker(message: ToWorker): boolean {
  const worker = registration?.active
  worker?.postMessage(message)
  return worker !== undefined && worker !== null
}

/** Closes the notifications of read conversations. The worker does it, so that it cannot race with showing one. */
export async function closeNotices(read: Read[]): Promise<void> {
  if (read.length === 0) return
  // At the start of the page the registration may not be known yet.
  await registering
  postToWorker({ type: "close", read })
}

/** The tags of the notifications that are shown. Never resolves if the worker's build does not answer. */
export async function noticesShown(): Promise<string[]> {
  const worker = (await registering)?.active
  return worker ? ((await answerOf(worker, { type: "shown" })) as string[]) : []
}

/** The user signed out on this device: end its pushes and remove their data. */
export async function forgetDevice(): Promise<void> {
  // At the start of the page the registration may not be known yet.
  const found = await registering
  const message: ToWorker = { type: "forget" }
  found?.active?.postMessage(message)
  try {
    await (await found?.pushManager?.getSubscription())?.unsubscribe()
  } catch {
    // The worker does so with the first push that it gets without a signed-in user.
  }
}
