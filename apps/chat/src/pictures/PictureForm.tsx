import type { User } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { type ReactNode, useEffect, useId, useRef, useState } from "react"
import { tokenOf } from "../session/auth-mode"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { canRetry, PICTURE_TYPES, pictureReason, refusalOf } from "./rules"
import { sendPicture } from "./send"
import { drawSquare, sendable } from "./shrink"

const text = words.pictures

/** A picture that the user has chosen, decoded. */
interface Chosen {
  /** The picture to send. */
  file: Blob
  image: ImageBitmap
  /** Once it is sent: the address of the picture that it replaces. It is shown until the page has the new one. */
  replaces?: string | null
}

/** Reads a picture. Throws a sentence if it cannot be an avatar. */
async function read(file: Blob): Promise<Chosen> {
  const refusal = await refusalOf(file)
  if (refusal) throw refusal
  // Upright, as the camera noted it.
  const image = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => {
    throw text.unreadable
  })
  try {
    return { file: await sendable(file, image), image }
  } catch (thrown) {
    image.close()
    throw thrown
  }
}

/** Chooses a picture, shows what the server will make of it, sends it, and removes the present one. */
export function PictureForm(props: {
  self: User
  path: string
  /** The current picture. */
  face: ReactNode
  /** The address of the picture that is shown now; null: there is none. */
  present: string | null
  /** Called after a picture was sent. */
  onSent?: () => Promise<unknown>
  onRemove: () => Promise<unknown>
}) {
  const { self, path, face, present, onSent, onRemove } = props
  const client = useLamplight()
  const input = useRef<HTMLInputElement>(null)
  const chooser = useRef<HTMLButtonElement>(null)
  const saver = useRef<HTMLButtonElement>(null)
  const canFocus = useRef(false)
  const [chosen, setChosen] = useState<Chosen | null>(null)
  const [work, setWork] = useState<"send" | "remove" | null>(null)
  const [part, setPart] = useState(0)
  const [outcome, setOutcome] = useState<{ problem?: string; done?: string; again?: boolean }>({})
  const running = useRef<AbortController | null>(null)
  const reading = useRef(0)
  const hint = useId()

  // Closing the dialog aborts the upload.
  useEffect(
    () => () => {
      reading.current = -1
      running.current?.abort()
    },
    [],
  )
  const image = chosen?.image
  useEffect(() => () => image?.close(), [image])

  const isSent = chosen?.replaces !== undefined
  const isChoosing = chosen !== null && !isSent
  // The new picture takes the place of the preview once it is loaded, so that the old one does not flash in between.
  useEffect(() => {
    if (!isSent || !present || present === chosen?.replaces) return
    let isOver = false
    const end = () => {
      if (!isOver) setChosen(null)
    }
    const fresh = new Image()
    fresh.src = present
    fresh.decode().then(end, end)
    return () => {
      isOver = true
    }
  }, [isSent, chosen, present])

  // Each change removes the button that was pressed.
  useEffect(() => {
    if (canFocus.current) (isChoosing ? saver : chooser).current?.focus()
    canFocus.current = true
  }, [isChoosing])

  async function choose(file: Blob | undefined) {
    if (!file || work) return
    reading.current += 1
    const mine = reading.current
    const found = await read(file).catch((problem: string) => problem)
    // Another picture was chosen meanwhile, or the dialog is closed.
    if (mine !== reading.current) {
      if (typeof found !== "string") found.image.close()
    } else if (typeof found === "string") {
      setChosen(null)
      setOutcome({ problem: found })
    } else {
      setChosen(found)
      setOutcome({})
    }
  }

  async function run(kind: "send" | "remove", request: (signal: AbortSignal) => Promise<unknown>) {
    const abort = new AbortController()
    running.current = abort
    setWork(kind)
    setPart(0)
    setOutcome({})
    try {
      await request(abort.signal)
      if (abort.signal.aborted) return
      setChosen((sent) => (sent && kind === "send" ? { ...sent, replaces: present } : null))
      setOutcome({ done: kind === "send" ? text.sent : text.removed })
      if (kind === "remove") chooser.current?.focus()
    } catch (thrown) {
      if (abort.signal.aborted) return
      setOutcome({ problem: pictureReason(thrown), again: kind === "send" && canRetry(thrown) })
    } finally {
      if (!abort.signal.aborted) setWork(null)
    }
  }

  const send = ({ file }: Chosen) =>
    run("send", async (signal) => {
      const token = tokenOf(client)
      await sendPicture({ path, picture: file, userId: self.id, token, signal, onProgress: setPart })
      // The picture is set, even if the page learns of it later only.
      await onSent?.().catch(() => {})
    })

  function cancel() {
    running.current?.abort()
    setWork(null)
    setChosen(null)
    setOutcome({})
  }

  const percent = Math.round(part * 100)
  return (
    <div className="picture-form" data-testid="picture-form" aria-busy={work !== null}>
      <div className="picture-form-face">
        {chosen ? <Preview image={chosen.image} isSent={isSent} /> : face}
      </div>
      <div className="picture-form-body">
        <div className="picture-form-choice">
          {isChoosing ? (
            <>
              <Button
                ref={saver}
                look="primary"
                data-testid="picture-save"
                aria-disabled={work !== null}
                onClick={() => {
                  if (!work) void send(chosen)
                }}
              >
                {work === "send" ? text.sending(percent) : outcome.again ? words.list.retry : text.save}
              </Button>
              <Button look="quiet" data-testid="picture-cancel" onClick={cancel}>
                {words.message.cancel}
              </Button>
            </>
          ) : (
            <>
              <Button
                ref={chooser}
                look="line"
                data-testid="picture-choose"
                aria-describedby={hint}
                aria-disabled={work !== null}
                onClick={() => {
                  if (!work) input.current?.click()
                }}
              >
                {present || isSent ? text.replace : text.choose}
              </Button>
              {(present || isSent) && (
                <Button
                  look="quiet"
                  className="picture-remove"
                  data-testid="picture-remove"
                  aria-disabled={work !== null}
                  onClick={() => {
                    if (!work) void run("remove", onRemove)
                  }}
                >
                  {work === "remove" ? words.signIn.busy : text.remove}
                </Button>
              )}
            </>
          )}
        </div>
        {work === "send" && (
          <span
            className="upload-bar"
            role="progressbar"
            aria-label={text.progress}
            aria-valuenow={percent}
            aria-valuemin={0}
            aria-valuemax={100}
          >
            <span style={{ width: `${percent}%` }} />
          </span>
        )}
        <p id={hint} className="sign-in-hint">
          {isChoosing ? text.middle : text.hint}
        </p>
      </div>
      <div role="alert" className={outcome.problem ? "sign-in-problem picture-outcome" : "sr-only"}>
        {outcome.problem}
      </div>
      <div role="status" className={outcome.done ? "dialog-done picture-outcome" : "sr-only"}>
        {outcome.done}
      </div>
      <input
        ref={input}
        type="file"
        accept={PICTURE_TYPES}
        hidden
        data-testid="picture-input"
        onChange={({ currentTarget }) => {
          void choose(currentTarget.files?.[0])
          // The same file can be chosen again.
          currentTarget.value = ""
        }}
      />
    </div>
  )
}

/** The middle square, still, as the server keeps it. */
function Preview({ image, isSent }: { image: ImageBitmap; isSent: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    if (canvas.current) drawSquare(canvas.current, image)
  }, [image])
  return (
    <span className="avatar" data-size="xl">
      <span className="avatar-face picture-preview">
        <canvas
          ref={canvas}
          role="img"
          aria-label={isSent ? text.sent : text.preview}
          data-testid={isSent ? "picture-sent" : "picture-preview"}
        />
      </span>
    </span>
  )
}
