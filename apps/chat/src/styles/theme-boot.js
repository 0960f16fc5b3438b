// Runs before the first paint: the chosen theme, or the system's. The page offers the choice and writes the
// same key; see src/app/theme.ts.
;(() => {
  let choice = "system"
  try {
    choice = localStorage.getItem("lamplight:theme") || "system"
  } catch {
    // Storage may be closed to us (a private window, a strict policy). The system's theme is a good answer.
  }
  const dark = choice === "dark" || (choice !== "light" && matchMedia("(prefers-color-scheme: dark)").matches)
  document.documentElement.dataset.theme = dark ? "dark" : "light"
})()
