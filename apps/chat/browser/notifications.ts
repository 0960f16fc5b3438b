import type { Page } from "playwright-core"

interface Watched {
  readNotifications?(registration: ServiceWorkerRegistration): Promise<Notification[]>
}

/**
 * For `Person.arrive`: the page must not ask which notifications are shown, since it cannot know whether one is about to be. Its test
 * may, by `shownNotifications`.
 */
export function forbidReads(): void {
  const { prototype } = ServiceWorkerRegistration
  const { getNotifications } = prototype
  Object.assign(window, {
    readNotifications: (registration: ServiceWorkerRegistration) => getNotifications.call(registration),
  })
  prototype.getNotifications = () => {
    const error = new Error("The page asks which notifications are shown.")
    console.error(error)
    return Promise.reject(error)
  }
}

/**
 * The notifications that are shown once the worker has handled the messages that it got. Not to be called while a push is on its way:
 * Chromium forgets a notification that it is about to show.
 */
export function shownNotifications(page: Page) {
  return page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready
    const { port1, port2 } = new MessageChannel()
    await new Promise((resolve) => {
      port1.onmessage = resolve
      registration.active?.postMessage({ type: "shown" }, [port2])
    })
    const { readNotifications } = window as Watched
    const all = await (readNotifications ? readNotifications(registration) : registration.getNotifications())
    return all
      .map(({ title, body, tag, data }) => ({ title, body, tag, count: Number(data?.count ?? 0) }))
      .sort((one, other) => one.tag.localeCompare(other.tag))
  })
}
