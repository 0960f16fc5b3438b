/** The files of the next message. Loaded with the first one. */
import type { Upload } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { X } from "lucide-react"
import { useEffect } from "react"
import { words } from "../strings"
import { FileIcon, FileName } from "./FileName"
import { isVoice, kindOf, measured, sizeText } from "./layout"
import { Bar, UploadButton, uploadText, usePreview } from "./media"
import { Player } from "./Player"
import { dropSound } from "./sound"

export default function Tray({ uploads, onRemoved }: { uploads: readonly Upload[]; onRemoved: () => void }) {
  return (
    <ul className="tray" aria-label={words.files.tray} data-testid="tray">
      {uploads.map((upload) => (
        <Item key={upload.id} upload={upload} onRemoved={onRemoved} />
      ))}
    </ul>
  )
}

function Item({ upload, onRemoved }: { upload: Upload; onRemoved: () => void }) {
  const { uploads } = useLamplight()
  const { id, name, size, state, bytes, durable } = upload
  const kind = kindOf(upload)
  const src = usePreview(kind === "picture" || kind === "audio" ? bytes : null)
  const isSpoken = kind === "audio" && isVoice(name)
  // Sent or removed: stop its playback.
  useEffect(() => () => dropSound(id), [id])
  return (
    <li className="tray-item" data-testid="upload" data-state={state} data-kind={kind}>
      {kind === "picture" && src !== null ? (
        <img
          className="tray-picture"
          src={src}
          alt=""
          onLoad={({ currentTarget: { naturalWidth: width, naturalHeight: height } }) =>
            measured.set(id, { width, height })
          }
        />
      ) : (
        !isSpoken && <FileIcon name={name} />
      )}
      <span className="file-words">
        {isSpoken && src !== null ? (
          <Player id={id} address={src} name={name} isVoice testId="voice-draft" />
        ) : (
          <FileName name={name} />
        )}
        <span className="file-size" data-failed={state === "failed" ? "" : undefined}>
          {state === "failed" ? uploadText(upload) : `${sizeText(size)} · ${uploadText(upload)}`}
          {!durable && state !== "ready" && state !== "failed" && ` · ${words.files.keepOpen}`}
        </span>
        {/* Read aloud when it begins and ends, not at each percent. */}
        <span className="sr-only" role="status">
          {state === "ready" || state === "failed"
            ? `${name}: ${uploadText(upload)}`
            : words.files.uploading(name)}
        </span>
        {state !== "ready" && state !== "failed" && (
          <Bar upload={upload} label={words.files.uploading(name)} />
        )}
      </span>
      <UploadButton upload={upload} />
      <button
        type="button"
        className="upload-button"
        data-testid="upload-cancel"
        aria-label={words.files.remove(name)}
        title={words.files.remove(name)}
        onClick={() => {
          uploads.cancel(id)
          onRemoved()
        }}
      >
        <X size={16} aria-hidden="true" />
      </button>
    </li>
  )
}
