import { describe, expect, it } from "vitest"
import { ids, shortcuts } from "../shortcuts/registry"
import { words } from "../strings"
import { ariaKeys, keysText, matches, type ShortcutPress, stepFrom } from "./shortcuts"

const press = (key: string, code: string, held = ""): ShortcutPress => ({
  key,
  code,
  ctrlKey: held.includes("c"),
  metaKey: held.includes("m"),
  altKey: held.includes("a"),
  shiftKey: held.includes("s"),
  altGraph: held.includes("g"),
})

describe("recognising shortcuts", () => {
  it("requires Ctrl, or Cmd on a Mac, without other modifiers", () => {
    expect(matches(press("k", "KeyK", "c"), "Mod+K", false)).toBe(true)
    expect(matches(press("K", "KeyK", "c"), "Mod+K", false)).toBe(true)
    expect(matches(press("k", "KeyK", "m"), "Mod+K", false)).toBe(false)
    expect(matches(press("k", "KeyK", "m"), "Mod+K", true)).toBe(true)
    // On a Mac this deletes the rest of a line.
    expect(matches(press("k", "KeyK", "c"), "Mod+K", true)).toBe(false)
    expect(matches(press("K", "KeyK", "cs"), "Mod+K", false)).toBe(false)
    expect(matches(press("k", "KeyK", "ca"), "Mod+K", false)).toBe(false)
    expect(matches(press("ArrowDown", "ArrowDown", "as"), "Alt+ArrowDown", false)).toBe(false)
  })

  it("matches the letter, or the key's position on layouts without Latin letters", () => {
    // Dvorak: the K is where others have the V.
    expect(matches(press("k", "KeyV", "c"), "Mod+K", false)).toBe(true)
    expect(matches(press("t", "KeyK", "c"), "Mod+K", false)).toBe(false)
    expect(matches(press("л", "KeyK", "c"), "Mod+K", false)).toBe(true)
    expect(matches(press("ن", "KeyK", "c"), "Mod+K", false)).toBe(true)
    // Option makes another character on a Mac.
    expect(matches(press("©", "KeyG", "ma"), "Mod+Alt+G", true)).toBe(true)
    expect(matches(press("Dead", "KeyU", "ma"), "Mod+Alt+U", true)).toBe(true)
  })

  it("ignores AltGr", () => {
    expect(matches(press("ŋ", "KeyG", "cag"), "Mod+Alt+G", false)).toBe(false)
    // A Hungarian keyboard, with the left Ctrl and Alt.
    expect(matches(press("]", "KeyG", "ca"), "Mod+Alt+G", false)).toBe(false)
  })

  it("matches a sign wherever the layout has it", () => {
    expect(matches(press("?", "Slash", "s"), "?", false)).toBe(true)
    expect(matches(press("?", "Minus", "s"), "?", false)).toBe(true)
    expect(matches(press("/", "Slash", "c"), "Mod+/", false)).toBe(true)
    expect(matches(press("/", "Digit7", "cs"), "Mod+/", false)).toBe(true)
  })
})

describe("the list of shortcuts", () => {
  it("has each key once, with a text for each", () => {
    const keys = ids.flatMap((id) => shortcuts[id].keys.map((one) => `${shortcuts[id].place ?? ""} ${one}`))
    expect(new Set(keys).size).toBe(keys.length)
    for (const id of ids) expect(words.shortcuts.names[id]).toBeTruthy()
  })

  it("62: uses no key of browsers and screen readers", () => {
    const taken = [
      ..."ABCDFHJLMNOPQRSTUVWXYZ".split("").map((letter) => `Mod+${letter}`),
      ..."ABCDGHIJKMNOPQRSTUVWXYZ".split("").map((letter) => `Mod+Shift+${letter}`),
      // Safari and Chrome on a Mac, the Dock, and NVDA's own start.
      ..."BCDFHIJLMNPQRTUVW".split("").map((letter) => `Mod+Alt+${letter}`),
      ...[
        "Alt+ArrowLeft",
        "Alt+ArrowRight",
        "Alt+Home",
        "Mod+,",
        "Shift+Escape",
        "F1",
        "F3",
        "F5",
        "F7",
        "F11",
      ],
      ...["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"].map((arrow) => `Mod+Alt+${arrow}`),
    ]
    for (const id of ids) for (const keys of shortcuts[id].keys) expect(taken).not.toContain(keys)
  })

  it("shows keys as the system does", () => {
    expect(keysText("Mod+Alt+G", false)).toBe("Ctrl+Alt+G")
    expect(keysText("Mod+Alt+G", true)).toBe("⌥⌘G")
    expect(keysText("Alt+Shift+ArrowDown", false)).toBe("Alt+Shift+↓")
    expect(keysText("Alt+Shift+ArrowDown", true)).toBe("⌥⇧↓")
    expect(ariaKeys("Mod+Shift+F", true)).toBe("Meta+Shift+F")
    expect(ariaKeys("Mod+Shift+F", false)).toBe("Control+Shift+F")
  })
})

describe("the next conversation", () => {
  const rows = ["a", "b", "c", "d"].map((id) => ({ id, isUnread: id === "b" || id === "d" }))

  it("follows the order of the list and stops at its ends", () => {
    expect(stepFrom(rows, "a", 1)).toBe("b")
    expect(stepFrom(rows, "d", 1)).toBeNull()
    expect(stepFrom(rows, "a", -1)).toBeNull()
    expect(stepFrom(rows, null, 1)).toBe("a")
    expect(stepFrom(rows, null, -1)).toBe("d")
    expect(stepFrom([], "a", 1)).toBeNull()
  })

  it("with unread messages is searched past the end of the list", () => {
    expect(stepFrom(rows, "a", 1, true)).toBe("b")
    expect(stepFrom(rows, "d", 1, true)).toBe("b")
    expect(stepFrom(rows, "a", -1, true)).toBe("d")
    expect(stepFrom(rows, null, 1, true)).toBe("b")
    expect(stepFrom(rows, null, -1, true)).toBe("d")
    expect(stepFrom([{ id: "b", isUnread: true }], "b", 1, true)).toBeNull()
    expect(stepFrom([], null, -1, true)).toBeNull()
  })
})
