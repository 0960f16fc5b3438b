/** Records a voice message. Loaded when the first one is recorded. */
import withDuration from "fix-webm-duration"
import { Check, Trash2 } from "lucide-react"
import { useEffect, useRef, useState } from "react"
import { words } from "../strings"
import { toast } from "../ui/toast"
import { durationText, VOICE_NAME } from "./layout"
import { pauseSound } from "./sound"

const TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"]
/** The maximum length of a recording. */
const MAX_MS = 15 * 60_000

export default function Recorder(props: { onDone: (file: File) => void; onClose: () => void }) {
  const { onDone, onClose } = props
  const [ms, setMs] = useState<number | null>(null)
  const recorder = useRef<MediaRecorder | null>(null)
  /** The user's choice; null if the recording ended by itself and stays. */
  const isKept = useRef<boolean | null>(null)
  const frame = useRef<HTMLFieldSetElement>(null)
  const done = useRef(onDone)
  done.current = onDone
  const close = useRef(onClose)
  close.current = onClose

  useEffect(() => {
    let isOver = false
    let stream: MediaStream | null = null
    let timer = 0
    const begin = async () => {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true })
      if (isOver) return stop()
      // It would be recorded too.
      pauseSound()
      const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type))
      const mine = new MediaRecorder(stream, mimeType ? { mimeType } : {})
      const parts: Blob[] = []
      mine.ondataavailable = ({ data }) => parts.push(data)
      const began = performance.now()
      mine.onstop = async () => {
        stop()
        const length = performance.now() - began
        const hasSound = parts.some(({ size }) => size > 0)
        if (hasSound && isKept.current !== false) done.current(await fileOf(parts, mine.mimeType, length))
        if (!isOver) close.current()
      }
      recorder.current = mine
      setMs(0)
      timer = window.setInterval(() => {
        const now = performance.now() - began
        setMs(now)
        if (now >= MAX_MS && mine.state === "recording") mine.stop()
      }, 250)
      mine.start(1_000)
    }
    function stop() {
      clearInterval(timer)
      for (const track of stream?.getTracks() ?? []) track.stop()
    }
    begin().catch(() => {
      stop()
      if (isOver) return
      toast.error(words.files.noMicrophone, { id: "no-microphone" })
      close.current()
    })
    // A recording ends when its recorder is hidden, for example by a panel over it, so that users always see that they are recorded.
    const watch = new ResizeObserver(() => {
      if (frame.current?.checkVisibility()) return
      if (recorder.current?.state === "recording") recorder.current.stop()
      else if (!recorder.current) close.current()
    })
    if (frame.current) watch.observe(frame.current)
    return () => {
      isOver = true
      watch.disconnect()
      // Leaving the conversation discards the recording.
      isKept.current ??= false
      if (recorder.current?.state === "recording") recorder.current.stop()
      stop()
    }
  }, [])

  function end(keep: boolean) {
    isKept.current = keep
    if (recorder.current?.state === "recording") recorder.current.stop()
    else onClose()
  }

  return (
    <fieldset ref={frame} className="recorder" data-testid="recorder" aria-label={words.files.recording}>
      <span className="recorder-dot" aria-hidden="true" />
      <span className="recorder-time" role="timer">
        {ms === null ? words.files.microphone : durationText(Math.floor(ms / 1_000))}
      </span>
      <button
        type="button"
        className="composer-tool"
        data-testid="record-cancel"
        aria-label={words.files.recordCancel}
        title={words.files.recordCancel}
        onClick={() => end(false)}
      >
        <Trash2 size={18} aria-hidden="true" />
      </button>
      <button
        type="button"
        className="composer-send"
        data-testid="record-done"
        data-ready={ms !== null}
        aria-label={words.files.recordDone}
        title={words.files.recordDone}
        // biome-ignore lint/a11y/noAutofocus: the button that was pressed is gone
        autoFocus
        onClick={() => end(true)}
      >
        <Check size={20} aria-hidden="true" />
      </button>
    </fieldset>
  )
}

/** The recording as a file. `length` in milliseconds: browsers write WebM that does not say how long it is, and the server reads it there. */
async function fileOf(parts: Blob[], mimeType: string, length: number): Promise<File> {
  const type = mimeType.split(";")[0] || "audio/webm"
  const ending = type === "audio/ogg" ? "ogg" : type === "audio/mp4" ? "m4a" : "webm"
  const bytes = new Blob(parts, { type })
  const whole =
    ending === "webm" ? await withDuration(bytes, length, { logger: false }).catch(() => bytes) : bytes
  return new File([whole], `${VOICE_NAME}.${ending}`, { type })
}
