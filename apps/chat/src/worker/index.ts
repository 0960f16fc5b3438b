/** The service worker of the page: the page without a server, and notifications without a page. */
import { owner, setChosenLanguage, setOwner } from "./memory"
import type { ToWorker } from "./messages"
import { closeAll, closeRead, inOrder, notify, openFrom, receive, shownTags } from "./notices"
import { answer, install, removeOldCaches, version } from "./shell"
import { isFor, keyBytes, removeSubscription, saveSubscription, serverKey } from "./subscription"

declare const self: ServiceWorkerGlobalScope

/** API requests do not start the worker in browsers with static routing. */
interface RoutingEvent extends ExtendableEvent {
  addRoutes?(rules: { condition: { urlPattern: string }; source: "network" }[]): Promise<void>
}

// A page of an earlier build keeps the cache of that build, so this one need not wait for it.
self.addEventListener("install", (event: RoutingEvent) => {
  const routes = event.addRoutes?.([{ condition: { urlPattern: "/api/*" }, source: "network" }])
  event.waitUntil(Promise.all([install(), routes?.catch(() => {})]).then(() => self.skipWaiting()))
})
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim().then(removeOldCaches)))
self.addEventListener("fetch", answer)

self.addEventListener("message", (event) => {
  const message = event.data as ToWorker
  if (message.type === "version") event.ports[0]?.postMessage(version)
  else if (message.type === "owner") event.waitUntil(inOrder(() => setOwner(message.owner)))
  else if (message.type === "language") event.waitUntil(inOrder(() => setChosenLanguage(message.language)))
  else if (message.type === "notify") event.waitUntil(inOrder(() => notify(message.notice)))
  else if (message.type === "close") event.waitUntil(inOrder(() => closeRead(message.read)))
  else if (message.type === "shown")
    event.waitUntil(inOrder(async () => event.ports[0]?.postMessage(await shownTags())))
  else if (message.type === "forget")
    event.waitUntil(
      inOrder(async () => {
        await setOwner(null)
        await closeAll()
      }),
    )
})

self.addEventListener("push", (event) => event.waitUntil(inOrder(() => receive(event.data?.text() ?? ""))))
self.addEventListener("notificationclick", (event) => event.waitUntil(openFrom(event.notification)))

self.addEventListener("pushsubscriptionchange", (event) => {
  const { oldSubscription, newSubscription } = event as PushSubscriptionChangeEvent
  event.waitUntil(subscribeAnew(oldSubscription, newSubscription))
})

/** The browser ended the subscription. A page that has a token instead of a cookie does this when it is opened the next time. */
async function subscribeAnew(before: PushSubscription | null, after: PushSubscription | null): Promise<void> {
  const person = await owner()
  if (!person?.hasCookie) return
  // The cookie may be another user's by now: the server compares it with this one.
  const credentials = { "x-user-id": encodeURIComponent(person.userId) }
  const key = await serverKey(credentials)
  if (!key) return
  const { pushManager } = self.registration
  let subscription = after ?? (await pushManager.getSubscription())
  // A browser refuses a second subscription with another key.
  if (subscription && !isFor(subscription, key)) {
    await subscription.unsubscribe()
    subscription = null
  }
  subscription ??= await pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: keyBytes(key),
  })
  await saveSubscription(subscription, person.content, key, credentials)
  if (before && before.endpoint !== subscription.endpoint)
    await removeSubscription(before.endpoint, credentials)
}
