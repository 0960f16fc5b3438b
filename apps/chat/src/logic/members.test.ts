import { describe, expect, it } from "vitest"
import { words } from "../strings"
import { conversationTitle, nameOf, namesById, newestOf } from "./members"

const people = ["Asha", "Ben", "Cleo", "Dov", "Efua", "Finn"].map((name, i) => ({ id: `${i}`, name }))
const titleOf = (members: typeof people, selfId: string) => conversationTitle({ members }, selfId)
/** As it is read: the isolates around the names cannot be seen. */
const seen = (title: string) => title.replace(/[\u2068\u2069]/g, "")

describe("the name of a conversation", () => {
  it("lists the other members, and counts those that do not fit", () => {
    expect(titleOf(people.slice(0, 2), "0")).toBe("Ben")
    expect(seen(titleOf(people.slice(0, 3), "1"))).toBe("Asha and Cleo")
    expect(seen(titleOf(people.slice(0, 4), "1"))).toBe("Asha, Cleo, and Dov")
    expect(seen(titleOf(people, "5"))).toBe("Asha, Ben and 3 more")
  })

  it("falls back to the id without a name, and to the user without others", () => {
    expect(titleOf([{ id: "7", name: "" }, people[0] as { id: string; name: string }], "0")).toBe("7")
    expect(titleOf(people.slice(0, 1), "0")).toBe("Asha")
  })

  it("is the group's name, or counts members who are not loaded", () => {
    expect(conversationTitle({ name: "Trip", members: people }, "0")).toBe("Trip")
    const large = { members: people, memberCount: 40, name: null }
    expect(seen(conversationTitle(large, "0"))).toBe("Ben, Cleo and 37 more")
  })

  it("has a label for a deleted account", () => {
    const ben = { id: "1", name: "", deleted: true as const }
    expect(nameOf(ben)).toBe("Deleted account")
    expect(conversationTitle({ members: [{ id: "0", name: "Asha" }, ben] }, "0")).toBe("Deleted account")
    expect(namesById([ben]).get("1")).toBe("Deleted account")
    // Their known presence has the former name.
    expect(newestOf({ id: "1", name: "Ben" }, ben)).toBe(ben)
    expect(newestOf({ id: "1", name: "Ben B." }, { id: "1", name: "Ben" }).name).toBe("Ben B.")
  })

  it("finds members by id", () => {
    expect(namesById(people).get("3")).toBe("Dov")
  })

  it("names one or several users who are typing", () => {
    expect(seen(words.thread.typing(["Asha"]))).toBe("Asha is typing…")
    expect(seen(words.thread.typing(["Asha", "Ben"]))).toBe("Asha and Ben are typing…")
  })
})
