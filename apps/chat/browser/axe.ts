import { readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import type { Page } from "playwright-core"
import { animationsEnd, frames } from "./world"

const axeFile = createRequire(import.meta.url).resolve("axe-core/axe.min.js")

/**
 * The axe violations of the page once animations have ended: a color during a transition is neither of the two. The page's
 * policy has to be bypassed (`bypassCSP`).
 */
export async function violations(page: Page): Promise<string[]> {
  // A transition begins with the frame after its cause.
  await frames(page)
  await animationsEnd(page)
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(await readFile(axeFile, "utf8"))
  return page.evaluate(async () => {
    const { axe } = window as unknown as {
      axe: {
        run: (
          root: Document,
          options: object,
        ) => Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>
      }
    }
    // Voice control needs the visible text in the accessible name: axe still calls this rule experimental.
    const rules = { "label-content-name-mismatch": { enabled: true } }
    const found = await axe.run(document, { rules, resultTypes: ["violations"] })
    return found.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)
  })
}
