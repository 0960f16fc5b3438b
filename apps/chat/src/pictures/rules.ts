/** Which pictures the server accepts as avatars, and why it refused one. */
import { LamplightError } from "@lamplight/client"
import { words } from "../strings"
import { groupReason } from "../ui/failure"

/** The most bytes of a picture that the server takes. Larger ones are made smaller first. */
export const MAX_PICTURE_BYTES = 5_000_000
/** The most bytes of a picture that this page reads: any photo of a phone has less. */
export const MAX_CHOSEN_BYTES = 64_000_000
/** The most pixels along a side that the server takes. */
export const MAX_PICTURE_SIDE = 16_384
/** The file types that the browser's file dialog offers. */
export const PICTURE_TYPES = "image/png,image/jpeg,image/gif,image/webp"
/** The side of the server's avatars; smaller pictures are not enlarged. */
const AVATAR_SIDE = 256
/** The side of the square that is sent in place of a picture that is too large. */
export const SENT_SIDE = 2 * AVATAR_SIDE

/** By its first bytes, as the server does it: names and declared types may be wrong. */
export function isPicture(head: Uint8Array): boolean {
  const text = String.fromCharCode(...head.subarray(0, 12))
  return (
    text.startsWith("\x89PNG\r\n\x1a\n") ||
    text.startsWith("\xff\xd8\xff") ||
    /^GIF8[79]a/.test(text) ||
    /^RIFF[\s\S]{4}WEBP/.test(text)
  )
}

/** Why the server would refuse this file; null: it may take it. */
export async function refusalOf(file: Blob): Promise<string | null> {
  let head: ArrayBuffer
  try {
    head = await file.slice(0, 12).arrayBuffer()
  } catch {
    return words.pictures.unreadable
  }
  if (!isPicture(new Uint8Array(head))) return words.pictures.wrongType
  return file.size > MAX_CHOSEN_BYTES ? words.pictures.tooLarge : null
}

/** The part of a picture that the server stores: its middle square, at most `side` wide, never enlarged. */
export function middleSquare(width: number, height: number, side = AVATAR_SIDE) {
  const from = Math.min(width, height)
  return {
    x: Math.floor((width - from) / 2),
    y: Math.floor((height - from) / 2),
    from,
    to: Math.min(from, side),
  }
}

/** Why a picture was not changed, in a sentence. */
export function pictureReason(thrown: unknown): string {
  const code = thrown instanceof LamplightError ? thrown.code : null
  if (code === "unsupported_media") return words.pictures.wrongType
  if (code === "too_long") return words.pictures.tooLarge
  if (code === "unavailable" || code === "internal") return words.pictures.busy
  if (code === "invalid") return words.pictures.cut
  return groupReason(thrown)
}

/** Whether the same picture may be taken at the next attempt: the server counts a body that was cut as invalid. */
export function canRetry(thrown: unknown): boolean {
  return thrown instanceof LamplightError && (thrown.retryable || thrown.code === "invalid")
}
