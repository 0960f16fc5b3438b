// Firefox as Debian ships it, through WebDriver BiDi.
import puppeteer from "puppeteer-core"
import { launched } from "./support.mjs"

/** A window of Firefox. `complaints` are the errors that the page logged. */
export async function firefox(t) {
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr",
    headless: true,
  })
  t.after(() => browser.close())
  const [page] = await browser.pages()
  await page.setViewport({ width: 1280, height: 800 })
  const complaints = []
  // A connection that is refused while the server is away is an answer, not a fault of the page.
  const complain = (text) => /establish a connection|NetworkError/.test(text) || complaints.push(text)
  page.on("pageerror", (error) => complain(error.message))
  page.on("console", (message) => message.type() === "error" && complain(message.text()))
  return launched({
    complaints: async () => complaints,
    open: (url) => page.goto(url),
    evaluate: (look, ...args) => page.evaluate(look, ...args),
    click: (selector) => page.click(selector),
    type: (selector, text) => page.type(selector, text),
    press: async (selector, key) => (await page.$(selector))?.press(key),
    attach: async (selector, path) => (await page.$(selector))?.uploadFile(path),
    screenshot: (path) => page.screenshot({ path }),
  })
}
