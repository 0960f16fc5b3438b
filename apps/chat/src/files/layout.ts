import type { OutboxFile, SharedFile } from "@lamplight/client"
import { number } from "../languages/format"
import { words } from "../strings"

export type Kind = "picture" | "video" | "audio" | "file"

/** A file of a message, stored or still on its way. */
export type AnyFile = SharedFile | OutboxFile

/** Voice messages are named so: their container may be one that browsers take for a video. */
export const VOICE_NAME = "voice-message"

export const isVoice = (name: string): boolean => name.startsWith(VOICE_NAME)

const PICTURES = /^image\/(png|jpeg|gif|webp|avif)$/

export function kindOf({ type, name }: { type: string; name: string }): Kind {
  if (PICTURES.test(type)) return "picture"
  if (type.startsWith("audio/") || (isVoice(name) && type.startsWith("video/"))) return "audio"
  return type.startsWith("video/") ? "video" : "file"
}

export const keyOf = (file: AnyFile): string => ("uploadId" in file ? file.uploadId : file.id)

/** Pictures stand together; everything else in rows below them. */
export function split<T extends AnyFile>(files: readonly T[]): { pictures: T[]; others: T[] } {
  const pictures = files.filter((file) => kindOf(file) === "picture")
  return { pictures, others: files.filter((file) => kindOf(file) !== "picture") }
}

const MAX_WIDTH = 340
const MAX_HEIGHT = 380
const SHORTEST = 72

/** The sizes of pictures that are being sent, as this page measured them. */
export const measured = new Map<string, { width: number; height: number }>()

/** The box of a single picture: its shape within bounds, known before it loads. */
export function boxOf(file: AnyFile): { width: number; height: number } {
  const known = "width" in file && file.width && file.height ? file : measured.get(keyOf(file))
  const { width = 4, height = 3 } = (known ?? {}) as { width?: number; height?: number }
  const isKnown = known !== undefined
  const scale = Math.min(MAX_WIDTH / width, MAX_HEIGHT / height, isKnown ? 1 : Number.POSITIVE_INFINITY)
  return {
    width: Math.round(Math.max(SHORTEST, width * scale)),
    height: Math.round(Math.max(SHORTEST, height * scale)),
  }
}

const ROW: Record<Exclude<Kind, "picture">, number> = { file: 60, audio: 60, video: 199 }

/** Two or four pictures stand two by two, more of them in threes. */
export const columnsOf = (count: number): number => (count === 2 || count === 4 ? 2 : Math.min(count, 3))

/** How high the files of a message are, before they are laid out. */
export function heightOf(files: readonly AnyFile[]): number {
  const { pictures, others } = split(files)
  let height = 0
  if (pictures.length === 1) height += boxOf(pictures[0] as AnyFile).height
  else if (pictures.length > 1) {
    const columns = columnsOf(pictures.length)
    height += Math.ceil(pictures.length / columns) * Math.round(MAX_WIDTH / columns + 2)
  }
  for (const file of others) height += ROW[kindOf(file) as keyof typeof ROW] ?? 60
  return height + 8
}

/** The names of files in places without a view: the list, quotes, and announcements. */
export function describeFiles(files: readonly { name: string; type: string }[]): string {
  const [first] = files
  if (!first) return ""
  const kinds = new Set(files.map(kindOf))
  if (kinds.size > 1) return words.files.many(files.length)
  const kind = kindOf(first)
  if (kind === "audio" && isVoice(first.name)) return words.files.voice
  if (kind === "picture") return words.files.pictures(files.length)
  return files.length > 1 ? words.files.many(files.length) : kind === "video" ? words.files.video : first.name
}

/** A size for people: "3.4 MB". */
export function sizeText(bytes: number): string {
  if (bytes < 1_000) return number(bytes, { style: "unit", unit: "byte" })
  const unit = bytes < 1_000_000 ? "kilobyte" : bytes < 1_000_000_000 ? "megabyte" : "gigabyte"
  const value = bytes / { kilobyte: 1_000, megabyte: 1_000_000, gigabyte: 1_000_000_000 }[unit]
  return number(value, { style: "unit", unit, maximumFractionDigits: value < 10 ? 1 : 0 })
}

/** Whole percents; 100 only when everything is there. */
export const percent = (done: number, size: number): number =>
  size === 0 ? 100 : Math.min(100, Math.floor((done / size) * 100))

/** "1:07", "1:02:03". */
export function durationText(seconds: number): string {
  const all = Math.round(seconds)
  const two = (n: number) => number(n, { minimumIntegerDigits: 2 })
  const [hours, minutes] = [Math.floor(all / 3_600), Math.floor(all / 60) % 60]
  return hours > 0
    ? `${number(hours)}:${two(minutes)}:${two(all % 60)}`
    : `${number(minutes)}:${two(all % 60)}`
}
