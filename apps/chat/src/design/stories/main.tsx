/**
 * The story page: each component of the page in each of its states, with a client in which nothing happens. `/chat/design` while
 * developing (`npm run dev`), and a build of its own for its test; the production build does not contain it.
 */
import "@fontsource-variable/atkinson-hyperlegible-next/wght.css"
import "@fontsource-variable/newsreader/wght.css"
import "../../styles/base.css"
import "./stories.css"
import { createRoot } from "react-dom/client"
import { setTheme, startTheme, type ThemeChoice, useThemeChoice } from "../../app/theme"
import { loadWords } from "../../languages/words"
import { Button } from "../../ui/Button"
import { startPreloading } from "../../ui/preload"
import { Toasts } from "../../ui/Toasts"
import { Bubbles, Composers, Files, Rows } from "./bubbles"
import { Conversations, Heads, People } from "./lists"
import { Notices, Overlays, States } from "./notices"
import { Avatars, Buttons, Fields, Presence } from "./parts"

startTheme()

const themes: [ThemeChoice, string][] = [
  ["system", "System"],
  ["light", "Light"],
  ["dark", "Dark"],
]

function Stories() {
  const choice = useThemeChoice()
  return (
    <main className="stories">
      <header className="stories-head">
        <h1 className="wordmark">Design</h1>
        {themes.map(([theme, label]) => (
          <Button key={theme} look="line" aria-pressed={theme === choice} onClick={() => setTheme(theme)}>
            {label}
          </Button>
        ))}
      </header>
      <Avatars />
      <Presence />
      <Buttons />
      <Fields />
      <Conversations />
      <People />
      <Heads />
      <Rows />
      <Bubbles />
      <Files />
      <Composers />
      <Notices />
      <States />
      <Overlays />
      <Toasts />
    </main>
  )
}

const root = document.getElementById("root")
if (root) void loadWords("en").then(() => createRoot(root).render(<Stories />))
startPreloading()
