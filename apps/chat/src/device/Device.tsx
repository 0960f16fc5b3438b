import type { User } from "@lamplight/client"
import { useConnection, useConversations, useLamplight, useUnread } from "@lamplight/react"
import { useEffect, useRef } from "react"
import { go } from "../app/route"
import { tokenOf } from "../session/auth-mode"
import type { ToPage } from "../worker/messages"
import { hasPush } from "./choice"
import { closeNotices, lookForUpdate, noticesShown, workerRegistration } from "./worker"

/** Connects the page with the device's notifications while a user is signed in. */
export function Device(props: { self: User; mode: "local" | "open" | "token"; selected: string | null }) {
  const { self, mode, selected } = props
  const client = useLamplight()
  const { items, archived, status } = useConversations()
  const { total } = useUnread()
  const isConnected = useConnection().status === "connected"

  // The worker asks which conversation is visible, and reports pressed notifications.
  const looking = useRef(selected)
  looking.current = selected
  useEffect(() => {
    const workers = navigator.serviceWorker
    if (!workers) return
    const onMessage = ({ data, ports }: MessageEvent<ToPage>) => {
      if (data.type === "looking") {
        const isLooking = document.visibilityState === "visible" && document.hasFocus()
        ports[0]?.postMessage(isLooking ? looking.current : null)
      } else if (data.type === "open") {
        const { conversationId, seq } = data
        go({ view: "thread", conversationId, ...(seq > 0 && { seq }) })
      }
    }
    workers.addEventListener("message", onMessage)
    workers.startMessages()
    return () => workers.removeEventListener("message", onMessage)
  }, [])

  // Close the notifications of messages read here or elsewhere.
  const unread = useRef<ReadonlySet<string> | null>(null)
  useEffect(() => {
    if (!isConnected || status !== "ready") return
    const all = [...items, ...archived]
    const now = new Set(all.filter((item) => item.unread > 0).map((item) => item.id))
    const heads = new Map(all.map((item) => [item.id, item.headSeq]))
    const isRead = (id: string) => heads.has(id) && !now.has(id)
    const close = (ids: string[]) =>
      void closeNotices(
        ids.map((id) => ({ conversationId: id, upTo: heads.get(id) ?? Number.POSITIVE_INFINITY })),
      )
    // First close those of an earlier page: they may be read on another device, or belong to a former user.
    if (unread.current) close([...unread.current].filter(isRead))
    else void noticesShown().then((shown) => close(shown.filter((id) => !(unread.current ?? now).has(id))))
    unread.current = now
  }, [items, archived, isConnected, status])

  useEffect(() => {
    if ("setAppBadge" in navigator)
      (total > 0 ? navigator.setAppBadge(total) : navigator.clearAppBadge()).catch(() => {})
  }, [total])

  // The server may have been updated while it was away.
  useEffect(() => {
    if (isConnected) lookForUpdate()
  }, [isConnected])

  // The browser may have ended the subscription, or it may be another user's.
  useEffect(() => {
    if (!isConnected) return
    void (async () => {
      const subscription = await (await workerRegistration())?.pushManager?.getSubscription()
      if (!subscription && !hasPush(self.id)) return
      const { checkDevice } = await import("./push")
      await checkDevice({ userId: self.id, token: tokenOf(client), hasCookie: mode === "local" })
    })().catch(() => {})
  }, [isConnected, self.id, client, mode])

  return null
}
