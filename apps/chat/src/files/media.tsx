/** The views of files in messages. Loaded with the first message that has one. */
import type { SharedFile, Upload } from "@lamplight/client"
import { useFileUrl, useLamplight, useUpload } from "@lamplight/react"
import { Download, Pause, Play, RotateCw } from "lucide-react"
import { useEffect, useState } from "react"
import { words } from "../strings"
import { useThreadActions } from "../thread/actions"
import { useLoad } from "../ui/again"
import { fileReason } from "../ui/failure"
import { FileIcon, FileName } from "./FileName"
import { isVoice, percent, sizeText } from "./layout"
import { Placeholder } from "./Placeholder"
import { Player } from "./Player"
import { SoundBar } from "./SoundBar"
import { pauseSound } from "./sound"

export { pauseSound, SoundBar }

/**
 * Whether the bytes at an address could not be loaded, of a file or of its thumbnail. Where addresses are signed, another one is asked
 * for: a server that was restored or has new keys refuses the old ones.
 */
export function useFileLoad(file: SharedFile, address: string | null) {
  const { renewFileUrl } = useLamplight()
  const { fail, ...load } = useLoad(address)
  return {
    ...load,
    fail() {
      fail()
      renewFileUrl(file.id)
    },
  }
}

/** The largest animation that plays in the thread: others stand still until they are opened. */
const MAX_ANIMATION = 8_000_000

/** A picture in its reserved box. It opens the viewer. */
export function Picture({ file }: { file: SharedFile }) {
  const isAnimated = file.type === "image/gif" && file.size <= MAX_ANIMATION
  const src = useFileUrl(file, isAnimated ? "file" : "thumbnail")
  const [shown, setShown] = useState<string | null>(null)
  const { isFailed, fail } = useFileLoad(file, src)
  const { openPicture } = useThreadActions()
  return (
    <button
      type="button"
      className="picture-button"
      data-testid="picture"
      data-state={isFailed ? "failed" : shown !== null ? "shown" : "loading"}
      aria-label={words.files.open(file.name)}
      onClick={(event) => openPicture(file, event.currentTarget)}
    >
      <Placeholder file={file} />
      {src !== null && !isFailed && (
        <img
          src={src}
          alt={file.name}
          loading="lazy"
          decoding="async"
          draggable={false}
          onLoad={() => setShown(src)}
          onError={fail}
        />
      )}
      {isFailed && <span className="picture-failed">{words.files.notShown}</span>}
    </button>
  )
}

export function Video({ file }: { file: SharedFile }) {
  const src = useFileUrl(file)
  const poster = useFileUrl(file, "thumbnail")
  const { tries, fail } = useFileLoad(file, src)
  return (
    // biome-ignore lint/a11y/useMediaCaption: what people send has no captions
    <video
      key={tries}
      onError={fail}
      onPlay={pauseSound}
      className="video"
      data-testid="video"
      controls
      preload="metadata"
      playsInline
      src={src ?? undefined}
      poster={file.thumbnailUrl ? (poster ?? undefined) : undefined}
      aria-label={file.name}
    />
  )
}

export function Audio({ file }: { file: SharedFile }) {
  const address = useFileUrl(file)
  const { fail } = useFileLoad(file, address)
  return (
    <Player
      id={file.id}
      address={address}
      name={file.name}
      isVoice={isVoice(file.name)}
      duration={file.duration}
      canSave
      testId="audio"
      onFail={fail}
    />
  )
}

/** Any other file: its name and size, and a download. */
export function FileLine({ file }: { file: SharedFile }) {
  const href = useFileUrl(file)
  return (
    <a className="file-line" data-testid="file" href={href ?? undefined} download={file.name}>
      <span className="sr-only">{words.files.save} </span>
      <FileIcon name={file.name} />
      <span className="file-words">
        <FileName name={file.name} />
        <span className="file-size">{sizeText(file.size)}</span>
      </span>
      <Download size={18} aria-hidden="true" />
    </a>
  )
}

/** The address of bytes in this page, for a preview. */
export function usePreview(bytes: Blob | null | undefined): string | null {
  const [address, setAddress] = useState<string | null>(null)
  useEffect(() => {
    if (!bytes) return
    const made = URL.createObjectURL(bytes)
    setAddress(made)
    return () => {
      setAddress(null)
      URL.revokeObjectURL(made)
    }
  }, [bytes])
  return address
}

/** The state of an upload as text. */
export function uploadText(upload: Upload | null): string {
  if (!upload) return words.files.waiting
  if (upload.error) return fileReason(upload.error)
  if (upload.state === "uploading") return words.files.percent(percent(upload.sent, upload.size))
  return words.files.states[upload.state]
}

export function Bar({ upload, label }: { upload: Upload | null; label: string }) {
  const value = upload ? percent(upload.sent, upload.size) : 0
  return (
    <span
      className="upload-bar"
      role="progressbar"
      aria-label={label}
      aria-valuenow={value}
      aria-valuemin={0}
      aria-valuemax={100}
    >
      <span style={{ width: `${value}%` }} />
    </span>
  )
}

/** Pauses an upload, continues it, or tries it again. */
export function UploadButton({ upload }: { upload: Upload }) {
  const { uploads } = useLamplight()
  const { id, state, name } = upload
  if (state === "ready" || state === "processing") return null
  const isStopped = state === "paused" || state === "failed"
  const label = words.files[state === "failed" ? "again" : isStopped ? "resume" : "pause"](name)
  const Icon = state === "failed" ? RotateCw : isStopped ? Play : Pause
  return (
    <button
      type="button"
      className="upload-button"
      data-testid={isStopped ? "upload-resume" : "upload-pause"}
      aria-label={label}
      title={label}
      onClick={() => (isStopped ? uploads.resume(id) : uploads.pause(id))}
    >
      <Icon size={16} aria-hidden="true" />
    </button>
  )
}

/** A picture of an unsent message. */
export function SendingPicture({ uploadId, name }: { uploadId: string; name: string }) {
  const upload = useUpload(uploadId)
  const src = usePreview(upload?.bytes)
  return (
    <span className="picture-sending" data-testid="sending-file">
      {src !== null && <img src={src} alt={name} draggable={false} />}
      <span className="picture-progress">
        {upload && <UploadButton upload={upload} />}
        <span>{uploadText(upload)}</span>
        <Bar upload={upload} label={words.files.uploading(name)} />
      </span>
    </span>
  )
}

/** Any other file of an unsent message. */
export function SendingFile({ uploadId, name, size }: { uploadId: string; name: string; size: number }) {
  const upload = useUpload(uploadId)
  return (
    <span className="file-line" data-testid="sending-file">
      <FileIcon name={name} />
      <span className="file-words">
        <FileName name={name} />
        <span className="file-size">
          {sizeText(size)} · {uploadText(upload)}
        </span>
        <Bar upload={upload} label={words.files.uploading(name)} />
      </span>
      {upload && <UploadButton upload={upload} />}
    </span>
  )
}
