import { LamplightError } from "@lamplight/client"
import { describe, expect, it } from "vitest"
import { words } from "../strings"
import { canRetry, isPicture, MAX_CHOSEN_BYTES, middleSquare, pictureReason, refusalOf } from "./rules"

const bytes = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0))
const PNG = "\x89PNG\r\n\x1a\n"
const error = (code: string, retryable = false) =>
  new LamplightError({ code, message: `The server says ${code}.`, retryable })

describe("pictures", () => {
  it("are recognised by their first bytes, whatever their name", async () => {
    for (const text of [PNG, "\xff\xd8\xff\xe0", "GIF87a", "GIF89a", "RIFF\x0a\0\0\0WEBPVP8 "])
      expect(isPicture(bytes(text))).toBe(true)
    for (const text of ["", "\x89PNG", "<svg xmlns=", "%PDF-1.7", "RIFF\0\0\0\0WAVEfmt ", "GIF88a", "BM"])
      expect(isPicture(bytes(text))).toBe(false)
    expect(await refusalOf(new Blob(["<svg/>"], { type: "image/png" }))).toBe(words.pictures.wrongType)
    expect(await refusalOf(new Blob([bytes(PNG)], { type: "text/plain" }))).toBeNull()
  })

  it("have at most 64 MB", async () => {
    const of = (size: number) => new Blob([bytes(PNG), new Uint8Array(size - PNG.length)])
    expect(await refusalOf(of(MAX_CHOSEN_BYTES))).toBeNull()
    expect(await refusalOf(of(MAX_CHOSEN_BYTES + 1))).toBe(words.pictures.tooLarge)
  })

  it("are cropped to their middle square, which is never enlarged", () => {
    expect(middleSquare(1_000, 600)).toEqual({ x: 200, y: 0, from: 600, to: 256 })
    expect(middleSquare(100, 301)).toEqual({ x: 0, y: 100, from: 100, to: 100 })
  })

  it("are refused with an explanation, and a retry where it may help", () => {
    expect(pictureReason(error("unsupported_media"))).toBe(words.pictures.wrongType)
    expect(pictureReason(error("too_long"))).toBe(words.pictures.tooLarge)
    expect(pictureReason(error("unavailable", true))).toBe(words.pictures.busy)
    expect(pictureReason(error("invalid"))).toBe(words.pictures.cut)
    expect(pictureReason(error("offline", true))).toBe(words.errors.network)
    expect(pictureReason(error("forbidden"))).toBe("The server says forbidden.")
    expect(canRetry(error("unavailable", true))).toBe(true)
    expect(canRetry(error("invalid"))).toBe(true)
    expect(canRetry(error("forbidden"))).toBe(false)
    expect(canRetry(new Error("x"))).toBe(false)
  })
})
