import { expect, it } from "vitest"
import { ownPicture, safePicture } from "./picture"

const safe = (url: string | null) => safePicture(url, "https://chat.example/chat#/c/7")

it("pictures of this server, over https and as data are shown", () => {
  expect(safe("/api/avatars/7")).toBe("https://chat.example/api/avatars/7")
  expect(safe("https://other.example/a.png")).toBe("https://other.example/a.png")
  expect(safe("data:image/png;base64,AA==")).toBe("data:image/png;base64,AA==")
  expect(safePicture("/a.png", "http://lan.example/chat")).toBe("http://lan.example/a.png")
})

it.each([
  "/\\evil.example/x",
  "\\/evil.example/x",
  "//evil.example/x",
  "/\t/evil.example/x",
  "\\\\evil.example\\x",
  "http://evil.example/x",
  "javascript:alert(1)",
  "data:text/html,x",
  "https://",
  "",
])("H13 a picture from %j is not shown", (url) => {
  expect(safe(url)).toBeNull()
})

it("H13 a picture of this server is recognised", () => {
  const own = (url: string | null) => ownPicture(url, "https://chat.example/chat/sw.js")
  expect(own("/api/avatars/7")).toBe("https://chat.example/api/avatars/7")
  for (const url of [
    "https://other.example/a.png",
    "/\\other.example/a.png",
    "data:image/png;base64,AA==",
    null,
  ])
    expect(own(url)).toBeNull()
})
