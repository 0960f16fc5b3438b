import { useEffect } from "react"
import { Toaster as Sonner, toast } from "sonner"
import { useShownTheme } from "../app/theme"
import { toastsAreMounted } from "./toast"

/** Sonner announces toasts politely and pauses them while they are read. */
export default function Toaster() {
  const theme = useShownTheme()
  // After Sonner's own effects, since it shows nothing of what came before them.
  useEffect(() => toastsAreMounted(toast), [])
  return (
    <Sonner
      theme={theme}
      position="top-center"
      duration={7_000}
      visibleToasts={3}
      closeButton
      offset={{ top: "calc(var(--banner-height, 0px) + 1rem)" }}
      mobileOffset={{
        top: "calc(var(--banner-height, 0px) + env(safe-area-inset-top) + 0.75rem)",
        left: 12,
        right: 12,
      }}
      toastOptions={{ classNames: { toast: "toast", error: "toast-error", actionButton: "toast-action" } }}
    />
  )
}
