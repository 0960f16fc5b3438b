import { afterEach, expect, it, vi } from "vitest"

afterEach(() => {
  vi.unstubAllGlobals()
  vi.resetModules()
})

it("a language that fails to load leaves the previous choice", async () => {
  const root = { lang: "en", dir: "ltr" }
  vi.stubGlobal("document", { documentElement: root, querySelector: () => null })
  vi.stubGlobal("localStorage", { getItem: () => null, setItem() {}, removeItem() {} })
  vi.doMock("../languages/de.json", () => {
    throw new Error("There is no network.")
  })
  const { firstWords, setLanguage } = await import("./language")
  const { words } = await import("../languages/words")
  await firstWords()
  const [arabic, german] = await Promise.allSettled([setLanguage("ar"), setLanguage("de")])
  expect([arabic.status, german.status]).toEqual(["fulfilled", "rejected"])
  await expect.poll(() => root).toEqual({ lang: "ar", dir: "rtl" })
  expect(words.thread.newer(1)).toBe("رسالة جديدة واحدة")
})
