import { IDBFactory } from "fake-indexeddb"
import { afterEach, expect, it, vi } from "vitest"

afterEach(() => vi.unstubAllGlobals())

it("F36 the user of the device is stored, also after the browser closed the database connection silently", async () => {
  const factory = new IDBFactory()
  vi.stubGlobal("indexedDB", factory)
  const opened: IDBDatabase[] = []
  const open = factory.open.bind(factory)
  vi.spyOn(factory, "open").mockImplementation((...given) => {
    const request = open(...given)
    request.addEventListener("success", () => opened.push(request.result))
    return request
  })
  const { isSeen, owner, setOwner, setSeen } = await import("./memory")
  const asha = { userId: "asha", hasCookie: true, content: true }
  await setOwner(asha)
  await setSeen("m1")
  vi.spyOn(opened[0] as IDBDatabase, "transaction").mockImplementation(() => {
    throw new DOMException("The database connection is closing.", "InvalidStateError")
  })
  expect(await owner()).toEqual(asha)
  expect([await isSeen("m1"), await isSeen("m2")]).toEqual([true, false])
  expect(opened).toHaveLength(2)
  await setOwner(null)
  expect([await owner(), await isSeen("m1")]).toEqual([null, false])
})
