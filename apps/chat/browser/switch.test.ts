import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { canRun, frames, launch, Person, Server, settled, until } from "./world"

/** What one commit of React rendered, by the part of the page: components that were mounted, and those that ran again. */
interface Commit {
  rows: { mounted: number; again: number }
  head: { mounted: number; again: number }
  composer: { mounted: number; again: number }
}

/** The fields of React's own tree that tell what a commit rendered. */
interface Fiber {
  tag: number
  flags: number
  type: unknown
  stateNode: unknown
  child: Fiber | null
  sibling: Fiber | null
  return: Fiber | null
  alternate: Fiber | null
}

/** Runs in the page ahead of its script, which reports each commit to React's developer tools: this stands in for them. */
function countCommits() {
  const FUNCTION_TAGS = [0, 11, 14, 15]
  const HOST_TAG = 5
  const PERFORMED_WORK = 1
  const parts = { rows: ".log-row", head: ".thread-head", composer: ".composer" } as const
  const all: Commit[] = []

  /** The first element that a component rendered. */
  const elementOf = (fiber: Fiber | null): Element | null => {
    for (let one = fiber; one; one = one.sibling) {
      const element = one.tag === HOST_TAG ? (one.stateNode as Element) : elementOf(one.child)
      if (element) return element
    }
    return null
  }

  const onCommitFiberRoot = (_: number, { current }: { current: Fiber }) => {
    const none = () => ({ mounted: 0, again: 0 })
    const commit: Commit = { rows: none(), head: none(), composer: none() }
    const count = (fiber: Fiber, kind: "mounted" | "again") => {
      if (!FUNCTION_TAGS.includes(fiber.tag)) return
      const element = elementOf(fiber.child)
      for (const [part, selector] of Object.entries(parts) as [keyof Commit, string][])
        if (element?.closest(selector)) commit[part][kind] += 1
    }
    const mount = (fiber: Fiber) => {
      count(fiber, "mounted")
      for (let child = fiber.child; child; child = child.sibling) mount(child)
    }
    const update = (fiber: Fiber, before: Fiber) => {
      if (fiber.flags & PERFORMED_WORK) count(fiber, "again")
      // The same children: nothing below was rendered.
      if (fiber.child === before.child) return
      const former = new Set<Fiber>()
      for (let child = before.child; child; child = child.sibling) former.add(child)
      for (let child = fiber.child; child; child = child.sibling) {
        if (!child.alternate) mount(child)
        else if (!former.has(child)) update(child, child.alternate)
      }
    }
    if (current.alternate) update(current, current.alternate)
    all.push(commit)
  }
  const hook = { supportsFiber: true, inject: () => 1, onCommitFiberUnmount() {}, onCommitFiberRoot }
  Object.assign(globalThis, {
    __REACT_DEVTOOLS_GLOBAL_HOOK__: { ...hook, onPostCommitFiberRoot() {}, checkDCE() {} },
    commitsOfReact: all,
  })
}

describe.skipIf(!canRun)("a switch of conversation", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let others: Person[]

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    asha = await (await Person.arrive(browser, server, "Asha", {}, countCommits)).signUp()
    const arrive = async (name: string) => (await Person.arrive(browser, server, name)).signUp()
    others = [await arrive("Ben"), await arrive("Cleo")]
    for (const other of others) {
      await asha.open(other)
      await asha.say("hello")
      await asha.message("hello").waitFor()
      // Texts of several lines, whose heights an estimate does not know.
      await asha.pour(
        60,
        (n) => `Line ${n}. ${"The ferry leaves at nine from the second pier. ".repeat(n % 5)}`,
      )
      await asha.message("Line 59.").waitFor()
    }
    // Nobody comes or goes, or reads, while commits are counted.
    for (const other of others) await other.close()
    await until(async () => (await asha.on("online-user").count()) === 0)
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  /** Opens the conversation with somebody, and returns the commits of that, and how many rows the first picture had. */
  async function switchTo(other: Person): Promise<{ commits: Commit[]; first: number; rows: number }> {
    const row = asha.on("conversation-item").filter({ hasText: other.name })
    await row.hover()
    await settled(asha.page, rowsMounted)
    const first = await asha.page.evaluate(() => {
      const { commitsOfReact } = globalThis as unknown as { commitsOfReact: Commit[] }
      return new Promise<number>((resolve) => {
        document.addEventListener(
          "click",
          () => {
            commitsOfReact.length = 0
            requestAnimationFrame(() => resolve(document.querySelectorAll(".log-row").length))
          },
          { capture: true, once: true },
        )
        document.querySelector<HTMLElement>(".row:hover")?.click()
      })
    })
    await asha.on("thread-name").filter({ hasText: other.name }).waitFor()
    // The rows out of view come when the page is idle.
    await until(async () => (await rowsMounted()) > first)
    await frames(asha.page)
    const rows = await settled(asha.page, rowsMounted)
    const commits = await asha.page.evaluate(
      () => (globalThis as unknown as { commitsOfReact: Commit[] }).commitsOfReact,
    )
    return { commits, first, rows }
  }

  const rowsMounted = () => asha.page.evaluate(() => document.querySelectorAll(".log-row").length)

  it("59: switching back to a conversation renders its rows, header and composer once", async () => {
    // Each was shown before, to its end.
    for (const other of [...others, ...others]) await switchTo(other)
    for (const other of others) {
      const { commits, first, rows } = await switchTo(other)
      const withRows = commits.filter(({ rows }) => rows.mounted > 0)
      // The rows in view at once, at their final places, and those around them when the page is idle.
      expect(withRows.length).toBe(2)
      expect(first).toBeLessThan(rows)
      expect(commits.filter(({ head, composer }) => head.mounted + composer.mounted > 0).length).toBe(1)
      const again = commits.map(({ rows, head, composer }) => rows.again + head.again + composer.again)
      expect(again.filter((components) => components > 0)).toEqual([])
    }
    expect(asha.complaints).toEqual([])
  })
})
