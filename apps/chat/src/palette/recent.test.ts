import { expect, it, vi } from "vitest"

it("recent items are cleared for the next user", async () => {
  const stored = new Map<string, string>()
  vi.stubGlobal("sessionStorage", {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => stored.set(key, value),
    removeItem: (key: string) => stored.delete(key),
  })
  const { forgetOpened, recentConversations, rememberOpened } = await import("./recent")
  for (const id of ["7", "8", "7"]) rememberOpened(id)
  expect(recentConversations()).toEqual(["7", "8"])
  expect(stored.size).toBe(1)
  forgetOpened()
  expect(recentConversations()).toEqual([])
  expect(stored.size).toBe(0)
  vi.unstubAllGlobals()
})
