import { Mic, Paperclip } from "lucide-react"
import { useRef } from "react"
import { words } from "../strings"

/** Chooses files. */
export function AttachButton({ onFiles }: { onFiles: (files: File[]) => void }) {
  const input = useRef<HTMLInputElement>(null)
  return (
    <>
      <button
        type="button"
        className="composer-tool"
        data-testid="attach"
        aria-label={words.files.attach}
        title={words.files.attach}
        onClick={() => input.current?.click()}
      >
        <Paperclip size={20} aria-hidden="true" />
      </button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        data-testid="file-input"
        onChange={({ currentTarget }) => {
          onFiles([...(currentTarget.files ?? [])])
          // The same file can be chosen again.
          currentTarget.value = ""
        }}
      />
    </>
  )
}

/** Whether this browser records: on pages without TLS there is no microphone. */
export const canRecord =
  typeof MediaRecorder !== "undefined" && typeof navigator.mediaDevices?.getUserMedia === "function"

export function RecordButton({ onRecord }: { onRecord: () => void }) {
  return (
    <button
      type="button"
      className="composer-tool"
      data-testid="record"
      aria-label={words.files.record}
      title={words.files.record}
      onClick={onRecord}
    >
      <Mic size={20} aria-hidden="true" />
    </button>
  )
}
