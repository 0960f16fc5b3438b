import type { ExternalToast, toast as Sonner } from "sonner"

type Job = (show: typeof Sonner) => void

let shown: typeof Sonner | null = null
const waiting: Job[] = []
let wake = () => {}

/** `sonner`, once its part of the page is mounted: shows what has waited for it. */
export function toastsAreMounted(show: typeof Sonner): () => void {
  shown = show
  for (const job of waiting.splice(0)) job(show)
  return () => {
    shown = null
  }
}

/** Calls `load` when the first toast waits. */
export function onFirstToast(load: () => void): void {
  wake = load
  if (waiting.length > 0) load()
}

function run(job: Job): void {
  if (shown) job(shown)
  else {
    waiting.push(job)
    wake()
  }
}

/** Short messages over the page. The script that shows them loads while the page is idle, or with the first of them. */
export const toast = Object.assign(
  (text: string, options?: ExternalToast) => run((show) => void show(text, options)),
  {
    error: (text: string, options?: ExternalToast) => run((show) => void show.error(text, options)),
    /** Takes back the toast of this id. */
    dismiss: (id: string) => run((show) => void show.dismiss(id)),
  },
)
