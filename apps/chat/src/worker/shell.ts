/**
 * The page without a server: the files of a build in a cache of its own. A cache stays as long as a page of its build is open, so
 * that no page gets a file of another build.
 */
import { cacheOf, PAGE } from "./messages"

declare const self: ServiceWorkerGlobalScope

/** By `vite.config.ts`: the version of the build, the paths of all its files, and of those that every visit may need. */
declare const __BUILD__: { version: string; files: string[]; early: string[] }

const { version, files, early } = __BUILD__
const CACHE = cacheOf(version)
const PREFIX = cacheOf("")
const ASSETS = `${PAGE}/assets/`
/** After this long without an answer the stored page is shown. */
const LATE_MS = 3_000

export { version }

/** Fetches a file, and throws unless it is one. A captive portal answers with a page of its own. */
async function fetchFile(path: string): Promise<Response> {
  const response = await fetch(path, { redirect: "error" })
  if (response.ok && !response.headers.get("content-type")?.startsWith("text/html")) return response
  throw new Error(`${path}: ${response.status}`)
}

/** Stores the build, all of it or nothing. While servers are updated one after another, the page may be of another build. */
export async function install(): Promise<void> {
  const page = await fetch(PAGE, { cache: "no-cache", redirect: "error" })
  if (!page.ok || !(await page.clone().text()).includes(`content="${version}"`))
    throw new Error("The page is of another build.")
  const cache = await caches.open(CACHE)
  const store = async (path: string) => cache.put(path, await fetchFile(path))
  try {
    await Promise.all(early.map(store))
    await cache.put(PAGE, page)
  } catch (thrown) {
    await caches.delete(CACHE)
    throw thrown
  }
}

/** Removes the caches of other builds that no open page is of. */
export async function removeOldCaches(): Promise<void> {
  // A newer worker fills its cache, which no page holds yet; it does this once it is active.
  const { installing, waiting } = self.registration
  if (installing || waiting) return
  const { held = [] } = await navigator.locks.query()
  const used = new Set(held.map(({ name }) => name))
  for (const name of await caches.keys())
    if (name.startsWith(PREFIX) && name !== CACHE && !used.has(name)) await caches.delete(name)
}

/** Answers requests for the page and its files. All others, as those of the API, go to the network as if there were no worker. */
export function answer(event: FetchEvent): void {
  const { request } = event
  const { origin, pathname } = new URL(request.url)
  if (request.method !== "GET" || origin !== self.location.origin) return
  if (request.mode === "navigate") {
    if (pathname === PAGE) event.respondWith(page(event))
  } else if (pathname.startsWith(ASSETS)) event.respondWith(asset(event, pathname))
}

/** The page of the server, so that a new build is taken at once; the stored one where the server is away or slow. */
async function page(event: FetchEvent): Promise<Response> {
  const answered = fetch(event.request)
  event.waitUntil(answered.then(removeOldCaches).catch(() => {}))
  const late = new Promise<null>((resolve) => setTimeout(() => resolve(null), LATE_MS))
  const first = await Promise.race([answered.catch(() => null), late])
  // A proxy answers for a server that is away.
  if (first && first.status < 500) return first
  return (await stored(PAGE)) ?? first ?? answered
}

/** The name of an asset holds a hash of its content: whichever cache has it has the right one. */
async function asset(event: FetchEvent, path: string): Promise<Response> {
  const found = await stored(path)
  if (found) return found
  const response = await fetch(event.request)
  if (response.ok && files.includes(path)) {
    const copy = response.clone()
    event.waitUntil(caches.open(CACHE).then((cache) => cache.put(path, copy)))
  }
  return response
}

async function stored(path: string): Promise<Response | undefined> {
  const names = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE)
  for (const name of [CACHE, ...(path === PAGE ? [] : names)]) {
    const found = await (await caches.open(name)).match(path, { ignoreVary: true })
    if (found) return found
  }
  return undefined
}
