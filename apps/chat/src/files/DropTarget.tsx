import { Upload } from "lucide-react"
import { useEffect, useRef, useState } from "react"
import { createPortal } from "react-dom"
import { words } from "../strings"
import { filesOf } from "./useFiles"

/** Over the thread while files are dragged over the page: they can be dropped anywhere. */
export function DropTarget({ name, onFiles }: { name: string; onFiles: (files: File[]) => void }) {
  const [isOver, setOver] = useState(false)
  const take = useRef(onFiles)
  take.current = onFiles

  useEffect(() => {
    // Enter and leave come for each element that is crossed.
    let depth = 0
    const brings = (event: DragEvent) => event.dataTransfer?.types.includes("Files") === true
    const change = (next: number) => {
      depth = Math.max(0, next)
      setOver(depth > 0)
    }
    const enter = (event: DragEvent) => {
      if (brings(event)) change(depth + 1)
    }
    const leave = (event: DragEvent) => {
      if (brings(event)) change(depth - 1)
    }
    const over = (event: DragEvent) => {
      if (!brings(event)) return
      event.preventDefault()
      if (event.dataTransfer) event.dataTransfer.dropEffect = "copy"
    }
    const drop = (event: DragEvent) => {
      change(0)
      if (!brings(event)) return
      event.preventDefault()
      const files = filesOf(event.dataTransfer)
      if (files.length > 0) take.current(files)
    }
    const on = { dragenter: enter, dragleave: leave, dragover: over, drop } as const
    for (const [event, listener] of Object.entries(on))
      document.addEventListener(event, listener as EventListener)
    return () => {
      for (const [event, listener] of Object.entries(on))
        document.removeEventListener(event, listener as EventListener)
    }
  }, [])

  if (!isOver) return null
  const frame = document.querySelector(".log-frame")
  if (!frame) return null
  return createPortal(
    <div className="drop-target" data-testid="drop-target" aria-hidden="true">
      <Upload size={28} />
      <span>{words.files.drop(name)}</span>
    </div>,
    frame,
  )
}
