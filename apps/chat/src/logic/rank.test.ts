import { describe, expect, it } from "vitest"
import { fold } from "./names"
import { rank, ranked } from "./rank"

const score = (query: string, name: string) => rank(fold(query), fold(name))
const order = (query: string, ...names: string[]) =>
  ranked(names, (name) => score(query, name), 10).map(({ one }) => one)

describe("ranking of names", () => {
  it("prefers the start of a name, then starts of words, then other parts", () => {
    expect(order("an", "Susanne", "Ben Anders", "Anna", "An")).toEqual([
      "An",
      "Anna",
      "Ben Anders",
      "Susanne",
    ])
    expect(score("smith ben", "Ben Smith")).toBeGreaterThan(0)
    expect(score("b s", "Ben Smith")).toBeGreaterThan(0)
    expect(score("bs", "Ben Smith")).toBeGreaterThan(0)
  })

  it("ignores case and diacritics, in any script", () => {
    expect(score("zoe", "Zoë Müller")).toBeGreaterThan(0)
    expect(score("muller", "Zoë Müller")).toBeGreaterThan(0)
    expect(score("жан", "Жанна")).toBeGreaterThan(0)
    expect(score("سار", "سارة")).toBeGreaterThan(0)
    expect(score("田", "田中 さくら")).toBeGreaterThan(0)
  })

  it("tolerates one typo in a longer word, and gaps", () => {
    expect(score("katrina", "Katarina")).toBeGreaterThan(0)
    expect(score("jonh", "John")).toBeGreaterThan(0)
    expect(score("micheal", "Michael")).toBeGreaterThan(0)
    expect(score("bnsm", "Ben Smith")).toBeGreaterThan(0)
    expect(order("bens", "Ben Smith", "Benson")[0]).toBe("Benson")
  })

  it("rejects names that do not match", () => {
    expect(score("xyz", "Ben Smith")).toBe(0)
    expect(score("b", "Carla")).toBe(0)
    expect(score("adh", "Andrea Nolan Norwood of the harbour")).toBe(0)
    expect(score("", "Ben")).toBe(0)
    expect(score("!!", "Ben")).toBe(0)
    expect(score("ben", "")).toBe(0)
  })

  it("takes linear time for a long name", () => {
    const name = fold("ab ".repeat(400))
    const began = performance.now()
    for (let n = 0; n < 200; n += 1) rank("abababababababababc", name)
    expect(performance.now() - began).toBeLessThan(5_000)
  })
})
