import { describe, expect, it } from "vitest"
import { mergePins } from "./pins"

const listed = (seq: number) => ({ id: `m${seq}`, seq, senderId: "a", createdAt: "", content: `${seq}` })
const row = (seq: number | null, isPinned: boolean, content = `${seq}`) => ({
  ...{ key: `k${seq}`, seq, senderId: "a", createdAt: "", content },
  pinnedAt: isPinned ? "now" : null,
})
const texts = (pins: { content: string }[]) => pins.map(({ content }) => content)

describe("pinned messages", () => {
  it("include those that are not loaded as they were listed, newest first", () => {
    expect(texts(mergePins([listed(3), listed(90)], [row(50, false), row(51, true)]))).toEqual([
      "90",
      "51",
      "3",
    ])
  })
  it("show loaded ones as their rows do", () => {
    const rows = [row(3, false), row(4, true, "edited"), row(5, true), row(null, false)]
    expect(texts(mergePins([listed(3), listed(4)], rows))).toEqual(["5", "edited"])
  })
})
