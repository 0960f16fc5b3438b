import { type ComponentType, useEffect, useState } from "react"
import { loadSoon } from "./preload"
import { onFirstToast } from "./toast"

/** The place where failures are shown, in the document before the first of them, so that screen readers announce it. */
export function Toasts() {
  const [Toaster, setToaster] = useState<ComponentType | null>(null)
  useEffect(() => {
    let isMounted = true
    const load = async () => {
      const loaded = (await import("./Toaster")).default
      if (isMounted) setToaster(() => loaded)
    }
    const now = () => void load().catch(() => addEventListener("online", now, { once: true }))
    onFirstToast(now)
    loadSoon(load)
    return () => {
      isMounted = false
    }
  }, [])
  return Toaster && <Toaster />
}
