import { afterEach, beforeEach, expect, it, vi } from "vitest"

/** The caches, by name, and what the browser says of the registration. */
let names: Set<string>
let registration: { installing: object | null; waiting: object | null }
let held: { name: string }[]

beforeEach(() => {
  names = new Set(["lamplight-build-old", "lamplight-build-open", "lamplight-build-mine", "somebody-elses"])
  registration = { installing: null, waiting: null }
  held = [{ name: "lamplight-build-open" }]
  vi.stubGlobal("__BUILD__", { version: "mine", files: [], early: [] })
  vi.stubGlobal("self", { registration })
  vi.stubGlobal("navigator", { locks: { query: async () => ({ held }) } })
  vi.stubGlobal("caches", {
    keys: async () => [...names],
    delete: async (name: string) => names.delete(name),
  })
})
afterEach(() => {
  vi.unstubAllGlobals()
  vi.resetModules()
})

it("F36 caches of builds without an open page are removed", async () => {
  const { removeOldCaches } = await import("./shell")
  await removeOldCaches()
  expect([...names]).toEqual(["lamplight-build-open", "lamplight-build-mine", "somebody-elses"])
})

it.each(["installing", "waiting"] as const)(
  "F36 a cache that a newer worker fills is not removed while it is %s",
  async (state) => {
    registration[state] = {}
    names.add("lamplight-build-new")
    const { removeOldCaches } = await import("./shell")
    await removeOldCaches()
    expect(names).toContain("lamplight-build-new")
  },
)
