import type { ConversationFile, SharedFile } from "@lamplight/client"
import { useFileUrl } from "@lamplight/react"
import { ImageOff, Play } from "lucide-react"
import { useMemo, useState } from "react"
import { durationText, kindOf } from "../files/layout"
import { Placeholder } from "../files/Placeholder"
import { moment } from "../logic/time"
import { words } from "../strings"
import { later } from "../ui/later"
import type { SharedPartProps } from "./useSharedFiles"

const Viewer = later(() => import("../files/Viewer"), null)

/** The tiles of a row. */
export const COLUMNS = 3

/** Pictures and videos that open in the viewer. */
export function useViewer(props: {
  files: readonly ConversationFile[]
  nameOfSender: SharedPartProps["nameOfSender"]
  onShow: SharedPartProps["onShow"]
  /** The viewer is near the oldest one that is loaded. */
  onEarlier?: () => void
}) {
  const { files, nameOfSender, onShow, onEarlier } = props
  const [open, setOpen] = useState<{ id: string; opener: HTMLElement } | null>(null)
  // The viewer steps from the oldest to the newest file, like the conversation.
  const shown = useMemo(
    () =>
      open
        ? files
            .map(({ file, senderId, createdAt }) => ({
              file,
              by: nameOfSender(senderId),
              at: moment(new Date(createdAt)),
            }))
            .reverse()
        : [],
    [open, files, nameOfSender],
  )
  const viewer = open && (
    <Viewer
      pictures={shown}
      start={open.id}
      onEarlier={onEarlier}
      onShow={(file: SharedFile) => {
        const found = files.find((one) => one.file.id === file.id)
        setOpen(null)
        if (found) onShow(found)
      }}
      onClose={() => {
        setOpen(null)
        requestAnimationFrame(() => open.opener.focus({ preventScroll: true }))
      }}
    />
  )
  return { viewer, view: (id: string, opener: HTMLElement) => setOpen({ id, opener }) }
}

/** Small squares. */
export function MediaGrid(props: {
  files: readonly ConversationFile[]
  nameOfSender: SharedPartProps["nameOfSender"]
  tabStop: (id: string) => 0 | -1
  onOpen: (id: string, opener: HTMLElement) => void
}) {
  const { files, nameOfSender, tabStop, onOpen } = props
  return (
    <ul className="media-grid">
      {files.map((sent) => (
        <li key={sent.file.id}>
          <Tile
            sent={sent}
            by={nameOfSender(sent.senderId)}
            tabIndex={tabStop(sent.file.id)}
            onOpen={onOpen}
          />
        </li>
      ))}
    </ul>
  )
}

function Tile(props: {
  sent: ConversationFile
  by: string
  tabIndex: 0 | -1
  onOpen: (id: string, opener: HTMLElement) => void
}) {
  const { sent, by, tabIndex, onOpen } = props
  const { file, createdAt } = sent
  const isVideo = kindOf(file) !== "picture"
  const duration = isVideo && file.duration !== undefined ? durationText(file.duration) : ""
  return (
    <button
      type="button"
      className="media-tile"
      data-testid="shared-media"
      data-roving={file.id}
      tabIndex={tabIndex}
      aria-label={words.shared.open(isVideo, [file.name, duration, by], moment(new Date(createdAt)))}
      onClick={({ currentTarget }) => onOpen(file.id, currentTarget)}
    >
      <Placeholder file={file} />
      {(!isVideo || file.thumbnailUrl) && <Thumbnail file={file} />}
      {isVideo && (
        <span className="media-video">
          <Play size={12} fill="currentColor" aria-hidden="true" />
          {duration}
        </span>
      )}
    </button>
  )
}

function Thumbnail({ file }: { file: SharedFile }) {
  const src = useFileUrl(file, "thumbnail")
  const [state, setState] = useState<"loading" | "shown" | "failed">("loading")
  if (state === "failed")
    return (
      <span className="media-failed">
        <ImageOff size={20} aria-hidden="true" />
      </span>
    )
  return (
    src !== null && (
      <img
        src={src}
        alt=""
        loading="lazy"
        decoding="async"
        draggable={false}
        data-state={state}
        onLoad={() => setState("shown")}
        onError={() => setState("failed")}
      />
    )
  )
}
