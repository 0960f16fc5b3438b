/** The requests about the subscription to pushes, from the page and from the worker. */

/** Who asks: headers beside the cookie. */
export type Credentials = Record<string, string>

const SUBSCRIPTIONS = "/api/push/subscriptions"

/** The server's public key; null: it sends no pushes. Throws where it cannot be reached. */
export async function serverKey(credentials: Credentials): Promise<string | null> {
  const response = await fetch("/api/push/key", { headers: credentials })
  if (response.status >= 500 || response.status === 429) throw new Error(`push key: ${response.status}`)
  const answer = (await response.json().catch(() => null)) as { key?: unknown } | null
  return response.ok && typeof answer?.key === "string" ? answer.key : null
}

/** The bytes of a base64url text: not every browser takes the text itself as a key. */
export function keyBytes(key: string): Uint8Array<ArrayBuffer> {
  const text = atob(key.replace(/-/g, "+").replace(/_/g, "/"))
  return Uint8Array.from(text, (char) => char.charCodeAt(0))
}

/** Whether a subscription was made for this key. */
export function isFor(subscription: PushSubscription, key: string): boolean {
  const own = subscription.options.applicationServerKey
  if (!own) return true
  const bytes = new Uint8Array(own)
  const wanted = keyBytes(key)
  return bytes.length === wanted.length && bytes.every((byte, at) => byte === wanted[at])
}

/**
 * Tells the server where to send. Throws where it refuses. `key` is the one that the browser subscribed with: the
 * server may have another one by now, and pushes that are signed with that would be refused.
 */
export async function saveSubscription(
  subscription: PushSubscription,
  content: boolean,
  key: string,
  credentials: Credentials,
): Promise<void> {
  const { endpoint, keys } = subscription.toJSON()
  await send("POST", { endpoint, keys, content, key }, credentials)
}

/** Tells the server to send nothing more there. */
export async function removeSubscription(endpoint: string, credentials: Credentials): Promise<void> {
  await send("DELETE", { endpoint }, credentials)
}

async function send(method: "POST" | "DELETE", body: object, credentials: Credentials): Promise<void> {
  const response = await fetch(SUBSCRIPTIONS, {
    method,
    headers: { "content-type": "application/json", ...credentials },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`push subscription: ${response.status}`)
}
