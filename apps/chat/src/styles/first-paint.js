// Runs before the first paint: the chosen theme and language, or the system's. The page offers both choices and
// writes the same keys; see src/app/theme.ts and src/app/language.ts.
;(() => {
  const root = document.documentElement
  const read = (key) => {
    try {
      return localStorage.getItem(key)
    } catch {
      // Storage may be closed to us (a private window, a strict policy). The system's choice is a good answer.
      return null
    }
  }

  const choice = read("lamplight:theme")
  const dark = choice === "dark" || (choice !== "light" && matchMedia("(prefers-color-scheme: dark)").matches)
  root.dataset.theme = dark ? "dark" : "light"

  // The languages with the paths of their texts, by build/first-paint.ts.
  const languages = JSON.parse(document.currentScript.dataset.languages)
  const wanted = [
    read("lamplight:language"),
    ...navigator.languages.map((one) => one.toLowerCase().split("-")[0]),
  ]
  const language = wanted.find((code) => code && Object.hasOwn(languages, code)) ?? "en"
  const { dir, path } = languages[language]
  root.lang = language
  root.dir = dir
  // The script of the page asks for the texts only once it runs.
  if (path) {
    const link = document.createElement("link")
    link.rel = "modulepreload"
    link.href = path
    document.head.append(link)
  }
})()
