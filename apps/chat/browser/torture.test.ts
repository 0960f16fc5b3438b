// Two people send, edit, delete, react and upload on their pages while their network is cut and the server killed. In the
// end both pages, the server and the database have the same. A plan made from a seed defines the events:
//
//   npm run test:torture -w apps/chat                          the full size
//   SEED=7 npm run test:browser -w apps/chat -- torture        the size of every test run, with a seed
import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { compareDatabase, compareLedger, comparePage } from "./torture/compare"
import { bytesOf, Ledger, sha256 } from "./torture/ledger"
import { FULL, makePlan, printed, SHORT } from "./torture/plan"
import { download, history, stored, thread, unsent } from "./torture/read"
import { Rig } from "./torture/rig"
import { isTrue, watch } from "./torture/watch"
import { Writer } from "./torture/writer"
import { canStart, closeOthers, launch, Person, serversOfTest, until } from "./world"

const isFull = process.env.TORTURE === "full"
const seed = Number(process.env.SEED ?? (isFull ? Math.floor(Math.random() * 2 ** 31) : 2))
/** An upload may wait for its next attempt for half a minute. */
const QUIET_MS = 120_000

describe.skipIf(!canStart)("two users while the network is cut and the server killed", () => {
  let browser: Browser
  let rig: Rig | undefined
  const start = serversOfTest()
  beforeAll(async () => {
    browser = await launch()
  })
  afterEach(async () => {
    await rig?.stop()
    await closeOthers(browser)
  })
  afterAll(() => browser?.close())

  it(
    `M1 M4 M5 M11: both pages and the database agree at the end, seed ${seed}`,
    async () => {
      const plan = makePlan(seed, isFull ? FULL : SHORT)
      const began = performance.now()
      const lines: string[] = []
      const log = (line: string) => lines.push(`${((performance.now() - began) / 1_000).toFixed(2)} ${line}`)
      try {
        await torture()
      } catch (thrown) {
        console.error([printed(plan), "What happened, by seconds:", ...lines, `SEED=${seed}`].join("\n"))
        throw thrown
      }

      async function torture(): Promise<void> {
        const server = await start({ FILE_QUOTA: "0" })
        rig = new Rig(server, plan, log)
        const fronts = [await rig.front(), await rig.front()] as const
        const [a, b] = await Promise.all([
          Person.arrive(browser, fronts[0], "Asha"),
          Person.arrive(browser, fronts[1], "Ben"),
        ])
        const people = [a, b]
        const notices = await Promise.all(people.map(({ context, page }) => watch(context, page)))
        for (const person of people) {
          // From its first moment on.
          await person.page.reload()
          await person.signUp()
          // A megabyte and a half a second, so that uploads are under way when the network is cut.
          const network = await person.context.newCDPSession(person.page)
          await network.send("Network.enable")
          const conditions = {
            offline: false,
            latency: 0,
            downloadThroughput: -1,
            uploadThroughput: 1_500_000,
          }
          await network.send("Network.emulateNetworkConditions", conditions)
        }
        await a.open(b)
        await b.open(a)
        const id = await a.conversationId()
        // Before the sign-in, the page asks who is signed in.
        for (const some of notices) expect(some.splice(0).filter(({ kind }) => kind === "toast")).toEqual([])
        const userIds = await Promise.all(people.map((person) => person.userId()))

        const ledger = new Ledger()
        const writers = [new Writer(0, a, b, ledger, rig), new Writer(1, b, a, ledger, rig)] as const
        const acting = writers.map((writer, who) => writer.run(plan.people[who] ?? []))
        await Promise.all([...acting, rig.run(people.map(({ context }) => context))])
        log("everything is done")

        for (const { page } of people) await page.mouse.move(400, 400)
        for (const writer of writers) await writer.changeUnseen()
        log("everything is caught up")

        // The last messages of both come after all else: a page that shows both has the log up to its head.
        for (const writer of writers) await writer.send(`${"ab"[writer.who]}-end. the last one`)
        for (const person of people) await until(async () => (await unsent(person)).length === 0, QUIET_MS)
        for (const person of people)
          for (const name of ["a-end.", "b-end."])
            await until(async () => {
              const end = person.on("to-end")
              if (await end.isVisible()) await end.click().catch(() => {})
              return person.message(name).and(person.page.locator('[data-state="sent"]')).isVisible()
            })
        log("everything is sent")

        const truth = await history(a, id)
        compareLedger(ledger, truth, userIds)
        const entries = await history<Parameters<typeof compareDatabase>[1][number]>(a, id, "&kind=all")
        compareDatabase(await stored(server, id), entries, truth)
        for (const [who, person] of people.entries())
          comparePage("ab"[who] ?? "", await thread(person), await history(person, id), userIds[who] ?? "")
        // A fresh browser.
        const fresh = await Person.arrive(browser, server, "Ben")
        await fresh.signIn(b.username)
        await fresh.on("conversation-item").first().click()
        await fresh.message("b-end.").waitFor()
        comparePage("a fresh reader", await thread(fresh), await history(fresh, id), userIds[1] ?? "")

        const files = new Map(ledger.sent.flat().flatMap((one) => one.files.map((file) => [file.name, file])))
        let whole = 0
        for (const { name, url, size } of truth.flatMap(({ attachments = [] }) => attachments)) {
          const file = files.get(name)
          const bytes = file ? bytesOf(file) : Buffer.alloc(0)
          const found = await download(fresh, url)
          expect([name, size, sha256(found)]).toEqual([name, bytes.length, sha256(bytes)])
          whole += 1
        }

        // Everything was in view, and nothing is unread.
        for (const person of people) {
          await expect.poll(() => person.on("unread").count()).toBe(0)
          await expect.poll(() => person.page.title()).not.toMatch(/^\(/)
          await expect.poll(() => person.on("connection-banner").count()).toBe(0)
        }
        const isGone = (path: string) => truth.some((one) => one.deletedAt && path.includes(one.id))
        const untrue = notices.flatMap((some, who) =>
          some
            .filter((notice) => !isTrue(notice, rig?.wasBroken(who, notice.at) ?? false, isGone))
            .map(
              ({ at, kind, text }) => `${"ab"[who]} ${((at - began) / 1_000).toFixed(2)} ${kind}: ${text}`,
            ),
        )
        expect([...untrue, ...fresh.complaints]).toEqual([])
        const toastCount = notices.flat().filter(({ kind }) => kind === "toast").length
        const seconds = ((performance.now() - began) / 1_000).toFixed(0)
        console.log(
          `seed ${seed}, ${seconds} s: ${truth.length} messages in ${entries.length} entries, ${whole} files, ${plan.faults.length} faults, ${toastCount} toasts, ${JSON.stringify(ledger.counts)}`,
        )
        // A run with few successful actions proves little.
        const isNot = Object.entries(ledger.counts).filter(([what]) => what.includes(": "))
        const left = isNot.reduce((sum, [, count]) => sum + count, 0)
        expect(left).toBeLessThan(plan.people.flat().length * 0.2)
      }
    },
    isFull ? 1_200_000 : 240_000,
  )
})
