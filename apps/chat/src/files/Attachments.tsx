import type { MessageRow, SharedFile } from "@lamplight/client"
import { type ComponentType, useEffect, useSyncExternalStore } from "react"
import { type AnyFile, boxOf, columnsOf, keyOf, kindOf, split } from "./layout"

type Media = typeof import("./media")

let media: Media | null = null
let loading: Promise<void> | null = null
const listeners = new Set<() => void>()

const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

const FIRST_PAUSE_MS = 2_000
const LONGEST_PAUSE_MS = 60_000

/** One import for all rows. Without a network it is repeated with growing delays, and at once when the network is back. */
function loadMedia(): Promise<void> {
  loading ??= (async () => {
    for (let pause = FIRST_PAUSE_MS; !media; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      try {
        media = await import("./media")
      } catch {
        await new Promise<void>((resolve) => {
          const end = () => {
            clearTimeout(timer)
            removeEventListener("online", end)
            resolve()
          }
          const timer = setTimeout(end, pause)
          addEventListener("online", end)
        })
      }
    }
    for (const listener of listeners) listener()
  })()
  return loading
}

/** The file views load with the first file; until then the placeholders are empty and have the final size. */
function useMedia(): Media | null {
  useEffect(() => void loadMedia(), [])
  return useSyncExternalStore(subscribe, () => media)
}

/** The player of audio whose message is out of view. Leaving the conversation pauses it. */
export function NowPlaying() {
  const parts = useSyncExternalStore(subscribe, () => media)
  useEffect(() => () => media?.pauseSound(), [])
  return parts && <parts.SoundBar />
}

/** The files of a message in its bubble. */
export function Attachments({ row }: { row: MessageRow }) {
  const parts = useMedia()
  const files: readonly AnyFile[] = row.message ? row.attachments : row.files
  const { pictures, others } = split(files)
  return (
    <div className="attachments" data-testid="attachments">
      {pictures.length > 0 && (
        <div className="pictures" data-count={columnsOf(pictures.length)}>
          {pictures.map((file) => {
            const { width, height } = boxOf(file)
            const style = pictures.length === 1 ? { width, aspectRatio: `${width} / ${height}` } : undefined
            return (
              <div key={keyOf(file)} className="picture" style={style}>
                {parts && part(file, parts.Picture, parts.SendingPicture)}
              </div>
            )
          })}
        </div>
      )}
      {others.map((file) => (
        <div key={keyOf(file)} className="file-place" data-kind={"uploadId" in file ? "file" : kindOf(file)}>
          {parts &&
            part(
              file,
              { picture: parts.Picture, video: parts.Video, audio: parts.Audio, file: parts.FileLine }[
                kindOf(file)
              ],
              parts.SendingFile,
            )}
        </div>
      ))}
    </div>
  )
}

function part(
  file: AnyFile,
  Stored: ComponentType<{ file: SharedFile }>,
  Sending: ComponentType<{ uploadId: string; name: string; size: number }>,
) {
  return "uploadId" in file ? <Sending {...file} /> : <Stored file={file} />
}
