import "@fontsource-variable/atkinson-hyperlegible-next/wght.css"
import "@fontsource-variable/atkinson-hyperlegible-next/wght-italic.css"
import "@fontsource-variable/newsreader/wght.css"
import "./styles/base.css"
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { App } from "./app/App"
import { firstWords, startLanguage } from "./app/language"
import { startLayers } from "./app/layers"
import { startTheme } from "./app/theme"
import { startViewport } from "./app/viewport"
import { startWorker } from "./device/worker"

startTheme()
startViewport()
startLayers()
startWorker()
startLanguage()

/** The delay before a page that got no texts is loaded again. */
const AGAIN_MS = 3_000

async function render(root: HTMLElement): Promise<void> {
  try {
    await firstWords()
  } catch {
    setTimeout(() => location.reload(), AGAIN_MS)
    return
  }
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  )
}

const root = document.getElementById("root")
if (root) void render(root)
