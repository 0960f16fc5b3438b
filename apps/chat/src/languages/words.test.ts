import { afterEach, describe, expect, it } from "vitest"
import { loadWords, words } from "./words"

const seen = (text: string) => text.replace(/[⁦-⁩]/g, "")

describe("the texts of the page", () => {
  afterEach(() => loadWords("en"))

  it("omit missing parts with their spaces and commas", () => {
    expect(words.people.withHandle("Noor", undefined)).toBe("Noor")
    expect(words.people.withHandle("Noor", "@noor")).toBe("Noor @noor")
    expect(words.presence.named("Noor", "Online")).toBe("Noor, online")
    expect(words.token.givenTitle(null)).toBe("Sign in with this token?")
    expect(seen(words.token.givenTitle("Noor"))).toBe("Sign in as Noor?")
    expect(words.composer.label("")).toBe("Write a message")
    expect(words.composer.placeholder("")).toBe("")
    expect(seen(words.thread.removedLead("Trip"))).toMatch(/^Trip is not in your list/)
    expect(words.thread.removedLead("")).toMatch(/^This conversation is not in your list/)
    expect(seen(words.files.sharing("Noor", "a.pdf", null))).toBe("Noor is sharing a.pdf")
    expect(seen(words.files.sharing("Noor", "a.pdf", 20))).toBe("Noor is sharing a.pdf, 20%")
    expect(seen(words.shared.open(false, ["a.png", "", "Noor"], "Friday"))).toBe("Photo a.png, Noor, Friday")
    expect(words.groups.create(0)).toBe("Create group")
    expect(words.groups.create(2)).toBe("Create group of 3")
    expect(words.groups.add(0)).toBe("Add")
    expect(words.files.pictures(1)).toBe("Photo")
    expect(words.files.pictures(3)).toBe("3 photos")
    expect(words.pictures.sending(100)).toBe("Almost there…")
    expect(words.pictures.sending(20)).toBe("Sending, 20%")
    expect(words.people.count(0)).toBe("Only you are online")
    expect(words.search.found(1, false)).toBe("1 message found")
    expect(words.search.found(2, true)).toBe("2 messages found, and there are more")
    expect(words.message.reaction("👍", 1, true)).toBe("👍, 1 reaction, yours too")
    expect(words.banner.waiting(1, 0)).toBe("1 message waits on this device.")
    expect(words.banner.waiting(0, 2)).toBe("2 changes wait on this device.")
    expect(words.banner.waitingInTab(1, 1)).toBe("1 message and 1 change wait in this tab; do not close it.")
  })

  it("follow the language, in the same groups", async () => {
    const { thread } = words
    await loadWords("ar")
    expect([0, 1, 2, 3, 11, 100].map((n) => thread.newer(n))).toEqual([
      "لا رسائل جديدة",
      "رسالة جديدة واحدة",
      "رسالتان جديدتان",
      "3 رسائل جديدة",
      "11 رسالة جديدة",
      "100 رسالة جديدة",
    ])
    await loadWords("de")
    expect(thread.newer(1)).toBe("1 neue Nachricht")
    expect(seen(words.names(["Asha", "Ben", "Cleo"]))).toBe("Asha, Ben und Cleo")
    expect(seen(words.names(["Asha", "Ben", "Cleo", "Dov"]))).toBe("Asha, Ben und 2 weitere")
    expect(seen(words.system.isNow({ isSelf: true, name: "Asha" }, "owner"))).toBe("Du bist jetzt Inhaber")
  })

  it("follow the last choice, however long another language takes to load", async () => {
    const both = await Promise.all([loadWords("ar"), loadWords("de")])
    expect(both).toEqual([false, true])
    expect(words.thread.copied).toBe("Kopiert")
  })
})
