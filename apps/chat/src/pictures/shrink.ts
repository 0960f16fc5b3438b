/** Makes a picture small enough for the server. */
import { words } from "../strings"
import { MAX_PICTURE_BYTES, MAX_PICTURE_SIDE, middleSquare, SENT_SIDE } from "./rules"

/** Draws the middle square of a picture, `side` pixels wide at most. False: this browser cannot draw. */
export function drawSquare(canvas: HTMLCanvasElement, image: ImageBitmap, side?: number): boolean {
  const { x, y, from, to } = middleSquare(image.width, image.height, side)
  canvas.width = to
  canvas.height = to
  const context = canvas.getContext("2d")
  if (!context) return false
  context.imageSmoothingQuality = "high"
  context.drawImage(image, x, y, from, from, 0, 0, to, to)
  return true
}

/**
 * What to send of a picture: the file itself, or its middle square if the server would refuse the file. `image` is upright already: the
 * orientation that a camera notes is part of the file, and the square has none. Throws a sentence.
 */
export async function sendable(file: Blob, image: ImageBitmap): Promise<Blob> {
  const isTaken = file.size <= MAX_PICTURE_BYTES && Math.max(image.width, image.height) <= MAX_PICTURE_SIDE
  if (isTaken) return file
  const canvas = document.createElement("canvas")
  if (!drawSquare(canvas, image, SENT_SIDE)) throw words.pictures.unreadable
  // A photo has no transparency, and is small as JPEG only.
  const type = file.type === "image/jpeg" ? "image/jpeg" : "image/png"
  const square = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, type, 0.92))
  if (!square) throw words.pictures.unreadable
  return square
}
