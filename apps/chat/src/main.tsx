import "@fontsource-variable/atkinson-hyperlegible-next/wght.css"
import "@fontsource-variable/newsreader/wght.css"
import "./styles/base.css"
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { App } from "./app/App"
import { startTheme } from "./app/theme"
import { startViewport } from "./app/viewport"
import { startWorker } from "./device/worker"

startTheme()
startViewport()
startWorker()

const root = document.getElementById("root")
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  )
}
