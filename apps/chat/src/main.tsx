import "@fontsource-variable/atkinson-hyperlegible-next/wght.css"
import "@fontsource-variable/newsreader/wght.css"
import "./styles/base.css"
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { App } from "./app/App"
import { startLanguage } from "./app/language"
import { startTheme } from "./app/theme"
import { startViewport } from "./app/viewport"
import { startWorker } from "./device/worker"
import { documentLanguage, loadWords } from "./languages/words"

startTheme()
startLanguage()
startViewport()
startWorker()

/** Without texts there is nothing to show. A language that cannot be loaded gives way to English, which may be stored. */
async function render(root: HTMLElement): Promise<void> {
  await loadWords(documentLanguage()).catch(() => loadWords("en"))
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  )
}

const root = document.getElementById("root")
if (root) void render(root)
