/** Pictures over the whole page, one at a time. Loaded when the first one is opened. */
import type { SharedFile } from "@lamplight/client"
import { useFileUrl } from "@lamplight/react"
import { ChevronLeft, ChevronRight, Download, MessageSquareText, X, ZoomIn, ZoomOut } from "lucide-react"
import { Dialog } from "radix-ui"
import { type KeyboardEvent, useEffect, useLayoutEffect, useRef, useState } from "react"
import { useLayer } from "../app/layers"
import { words } from "../strings"
import { keyInLine } from "../ui/keyboard"
import { kindOf, sizeText } from "./layout"
import { useFileLoad } from "./media"
import { pauseSound } from "./sound"
import { useSwipe } from "./useSwipe"

export interface Shown {
  file: SharedFile
  by: string
  at: string
}

/** Earlier pictures are loaded this many steps before the oldest one. */
const NEAR = 3
const ZOOMS = [1, 1.5, 2, 3, 4]
/** One step of the zoom, in pixels of a wheel: less than a notch of a mouse; the small deltas of a pinch add up to it. */
const WHEEL_STEP = 40

export default function Viewer(props: {
  /** Pictures and videos, the oldest first. */
  pictures: readonly Shown[]
  start: string
  onClose: () => void
  /** Shows the message of a file in the conversation. */
  onShow?: (file: SharedFile) => void
  /** The oldest one is near. */
  onEarlier?: (() => void) | undefined
}) {
  const { pictures, start, onClose, onShow, onEarlier } = props
  const [id, setId] = useState(start)
  const [zoom, setZoom] = useState(0)
  const at = pictures.findIndex(({ file }) => file.id === id)
  const shown = pictures[at]
  // Deleted, or not loaded any more: another picture in its place would be taken for it.
  const isGone = shown === undefined
  useLayer(onClose)
  useEffect(() => {
    if (isGone) onClose()
  }, [isGone, onClose])
  const isNearFirst = at >= 0 && at < NEAR
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each that is loaded
  useEffect(() => {
    if (isNearFirst) onEarlier?.()
  }, [isNearFirst, pictures.length])
  if (!shown) return null
  const isVideo = kindOf(shown.file) !== "picture"

  function go(step: number) {
    const next = pictures[at + step]
    if (!next) return
    setZoom(0)
    setId(next.file.id)
  }
  const magnify = (step: number) => setZoom((now) => Math.min(ZOOMS.length - 1, Math.max(0, now + step)))

  function onKeyDown(event: KeyboardEvent) {
    // A video has keys of its own.
    if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLVideoElement) return
    const isZoomed = zoom > 0
    const key = keyInLine(event)
    if (key === "ArrowLeft" && !isZoomed) go(-1)
    else if (key === "ArrowRight" && !isZoomed) go(1)
    else if (event.key === "Home") go(-at)
    else if (event.key === "End") go(pictures.length - 1 - at)
    else if (event.key === "+" || event.key === "=") magnify(1)
    else if (event.key === "-") magnify(-1)
    else if (event.key === "0") setZoom(0)
    else return
    event.preventDefault()
  }

  return (
    <Dialog.Root open onOpenChange={(open) => open || onClose()}>
      <Dialog.Portal>
        <Dialog.Content
          className="viewer"
          data-testid="viewer"
          aria-describedby={undefined}
          onKeyDown={onKeyDown}
          onCloseAutoFocus={(event) => event.preventDefault()}
        >
          <header className="viewer-head">
            <span className="viewer-words">
              <Dialog.Title className="viewer-title" dir="auto">
                {shown.file.name}
              </Dialog.Title>
              <span className="viewer-about" role="status" data-testid="viewer-place">
                {words.files.by(shown.by, shown.at)} · {sizeText(shown.file.size)}
                {pictures.length > 1 && ` · ${words.files.place(at + 1, pictures.length)}`}
              </span>
            </span>
            {!isVideo && (
              <>
                <Tool label={words.files.zoomOut} disabled={zoom === 0} onClick={() => magnify(-1)}>
                  <ZoomOut size={20} aria-hidden="true" />
                </Tool>
                <Tool
                  label={words.files.zoomIn}
                  disabled={zoom === ZOOMS.length - 1}
                  onClick={() => magnify(1)}
                >
                  <ZoomIn size={20} aria-hidden="true" />
                </Tool>
              </>
            )}
            {onShow && (
              <Tool label={words.shared.show} testId="viewer-show" onClick={() => onShow(shown.file)}>
                <MessageSquareText size={20} aria-hidden="true" />
              </Tool>
            )}
            <Save file={shown.file} />
            <Dialog.Close className="viewer-tool" aria-label={words.files.close} title={words.files.close}>
              <X size={20} aria-hidden="true" />
            </Dialog.Close>
          </header>
          {isVideo ? (
            <Film key={shown.file.id} file={shown.file} />
          ) : (
            <Stage
              key={shown.file.id}
              file={shown.file}
              zoom={ZOOMS[zoom] ?? 1}
              onMagnify={magnify}
              onGo={go}
              onOut={onClose}
            />
          )}
          {at > 0 && (
            <Tool label={words.files.before} side="start" onClick={() => go(-1)}>
              <ChevronLeft size={26} aria-hidden="true" />
            </Tool>
          )}
          {at < pictures.length - 1 && (
            <Tool label={words.files.after} side="end" onClick={() => go(1)}>
              <ChevronRight size={26} aria-hidden="true" />
            </Tool>
          )}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

function Tool(props: {
  label: string
  side?: "start" | "end"
  disabled?: boolean
  testId?: string
  onClick: () => void
  children: React.ReactNode
}) {
  const { label, side, disabled = false, testId, onClick, children } = props
  return (
    <button
      type="button"
      className="viewer-tool"
      data-side={side}
      data-testid={testId}
      aria-label={label}
      title={label}
      // It keeps the focus, so that keys keep working.
      aria-disabled={disabled}
      onClick={() => disabled || onClick()}
    >
      {children}
    </button>
  )
}

function Save({ file }: { file: SharedFile }) {
  const href = useFileUrl(file)
  const label = words.files.save
  return (
    <a
      className="viewer-tool"
      data-testid="viewer-download"
      href={href ?? undefined}
      download={file.name}
      aria-label={label}
      title={label}
    >
      <Download size={20} aria-hidden="true" />
    </a>
  )
}

function Film({ file }: { file: SharedFile }) {
  const src = useFileUrl(file)
  const poster = useFileUrl(file, "thumbnail")
  const [isFailed, setFailed] = useState(false)
  if (isFailed)
    return (
      <div className="viewer-stage">
        <p className="viewer-failed">{words.shared.notPlayed}</p>
      </div>
    )
  return (
    <div className="viewer-stage">
      {src !== null && (
        // biome-ignore lint/a11y/useMediaCaption: what people send has no captions
        <video
          data-testid="viewer-video"
          controls
          playsInline
          preload="metadata"
          src={src}
          poster={file.thumbnailUrl ? (poster ?? undefined) : undefined}
          aria-label={file.name}
          onPlay={pauseSound}
          onError={() => setFailed(true)}
        />
      )}
    </div>
  )
}

function Stage(props: {
  file: SharedFile
  zoom: number
  onMagnify: (step: number) => void
  onGo: (step: number) => void
  onOut: () => void
}) {
  const { file, zoom, onMagnify, onGo, onOut } = props
  const src = useFileUrl(file)
  const { isFailed, fail } = useFileLoad(file, src)
  const stage = useRef<HTMLDivElement>(null)
  const image = useRef<HTMLImageElement>(null)
  /** The width of the whole picture on the stage, in pixels: what the zoom multiplies. */
  const [base, setBase] = useState(0)
  const isZoomed = zoom > 1
  const swipe = useSwipe((step) => onGo(document.dir === "rtl" ? -step : step), onOut)
  // Before it is painted: a zoom may come right behind, or be there before the picture is.
  const isMeasured = isZoomed && base > 0
  const isUnmeasured = base === 0
  // biome-ignore lint/correctness/useExhaustiveDependencies: measured again when nothing is known
  useLayoutEffect(() => {
    const element = image.current
    if (isMeasured || isFailed || !element || src === null) return
    const measure = () => setBase(element.clientWidth)
    measure()
    const watch = new ResizeObserver(measure)
    watch.observe(element)
    return () => watch.disconnect()
  }, [isMeasured, isUnmeasured, isFailed, src])
  // React's listeners for the wheel are passive, and could not keep the browser from zooming the page.
  const magnify = useRef(onMagnify)
  magnify.current = onMagnify
  useEffect(() => {
    let turned = 0
    const onWheel = (event: WheelEvent) => {
      if (!event.ctrlKey) return
      event.preventDefault()
      const delta = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * WHEEL_STEP
      turned = Math.sign(delta) === Math.sign(turned) ? turned + delta : delta
      if (Math.abs(turned) < WHEEL_STEP) return
      magnify.current(turned < 0 ? 1 : -1)
      turned = 0
    }
    const element = stage.current
    element?.addEventListener("wheel", onWheel, { passive: false })
    return () => element?.removeEventListener("wheel", onWheel)
  }, [])
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys are handled by the dialog
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it
    <div
      ref={stage}
      className="viewer-stage"
      // Not before: a picture that is measured stands as it does without a zoom.
      data-zoomed={isMeasured ? "" : undefined}
      onClick={(event) => {
        if (event.target === event.currentTarget) onOut()
      }}
      // What is magnified is scrolled.
      {...(!isZoomed && swipe)}
      onDoubleClick={() => onMagnify(isZoomed ? -ZOOMS.length : 2)}
    >
      {isFailed ? (
        <p className="viewer-failed">{words.files.notShown}</p>
      ) : (
        src !== null && (
          <img
            ref={image}
            src={src}
            alt={file.name}
            width={file.width}
            height={file.height}
            draggable={false}
            style={
              isMeasured
                ? { maxWidth: "none", maxHeight: "none", width: base * zoom, height: "auto" }
                : undefined
            }
            // What it measured before is not its size, also where it was magnified meanwhile.
            onLoad={() => setBase(0)}
            onError={fail}
          />
        )
      )}
    </div>
  )
}
