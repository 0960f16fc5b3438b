// WebKit as Debian ships it, through WebDriver (https://www.w3.org/TR/webdriver2/).
import { spawn } from "node:child_process"
import { writeFile } from "node:fs/promises"
import { SHELL } from "../e2e/support/node.mjs"
import { freePort } from "../e2e/support/services.mjs"
import { until } from "../e2e/support/wait.mjs"
import { launched } from "./support.mjs"

const MINI_BROWSER = process.env.MINI_BROWSER ?? "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser"
/** The keys of WebDriver that have no character. */
const KEYS = { Enter: "\uE007", Escape: "\uE00C" }

/** A window of WebKitGTK. Errors before the end of `open` are not among its complaints. */
export async function webkit(t, language = "en_GB.UTF-8") {
  const port = await freePort()
  const driver = spawn(
    "xvfb-run",
    ["-a", "-s", "-screen 0 1400x1000x24", "WebKitWebDriver", `--port=${port}`],
    {
      // The driver and the browser end with the group.
      detached: true,
      stdio: "ignore",
      env: { ...SHELL, LANG: language, LC_ALL: language, LIBGL_ALWAYS_SOFTWARE: "1" },
    },
  )
  t.after(() => process.kill(-driver.pid))

  async function command(method, path, body) {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      body: body && JSON.stringify(body),
    })
    const { value } = await response.json()
    if (!response.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`)
    return value
  }

  await until(() => command("GET", "/status").catch(() => null), "the driver runs")
  const { sessionId } = await command("POST", "/session", {
    capabilities: {
      alwaysMatch: { "webkitgtk:browserOptions": { binary: MINI_BROWSER, args: ["--automation"] } },
    },
  })
  const session = `/session/${sessionId}`
  t.after(() => command("DELETE", session).catch(() => {}))
  await command("POST", `${session}/window/rect`, { width: 1280, height: 860 })

  const evaluate = async (look, ...args) => {
    const script = `
      const done = arguments[arguments.length - 1]
      Promise.resolve((${look})(...[...arguments].slice(0, -1))).then((value) => done({ value }), (error) => done({ error: String(error) }))`
    const { value, error } = await command("POST", `${session}/execute/async`, { script, args })
    if (error) throw new Error(error)
    return value
  }
  const on = async (selector, act, body) => {
    const found = await command("POST", `${session}/element`, { using: "css selector", value: selector })
    return command("POST", `${session}/element/${Object.values(found)[0]}/${act}`, body)
  }
  return launched({
    complaints: () => evaluate(() => globalThis.complaints),
    async open(url) {
      await command("POST", `${session}/url`, { url })
      await evaluate(() => {
        globalThis.complaints = []
        addEventListener("error", ({ message }) => globalThis.complaints.push(message))
        addEventListener("unhandledrejection", ({ reason }) => globalThis.complaints.push(String(reason)))
      })
    },
    evaluate,
    click: (selector) => on(selector, "click", {}),
    type: (selector, text) => on(selector, "value", { text }),
    press: (selector, key) => on(selector, "value", { text: KEYS[key] }),
    attach: (selector, path) => on(selector, "value", { text: path }),
    screenshot: async (path) =>
      writeFile(path, Buffer.from(await command("GET", `${session}/screenshot`), "base64")),
  })
}
