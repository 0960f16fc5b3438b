import { Toaster } from "sonner"
import { useShownTheme } from "../app/theme"

/** The place where failures are shown. Sonner announces them politely and pauses them while they are read. */
export function Toasts() {
  const theme = useShownTheme()
  return (
    <Toaster
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
