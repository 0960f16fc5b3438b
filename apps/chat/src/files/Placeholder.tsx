import type { SharedFile } from "@lamplight/client"
import { decode } from "blurhash"
import { useEffect, useRef } from "react"

const SIZE = 32

/** A blurred placeholder until a picture loads, if the server has one. */
export function Placeholder({ file }: { file: SharedFile }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const { blurHash } = file as SharedFile & { blurHash?: string }
  useEffect(() => {
    const context = blurHash === undefined ? null : canvas.current?.getContext("2d")
    if (!context || blurHash === undefined) return
    try {
      const pixels = context.createImageData(SIZE, SIZE)
      pixels.data.set(decode(blurHash, SIZE, SIZE))
      context.putImageData(pixels, 0, 0)
    } catch {
      // A hash that cannot be read leaves the plain box.
    }
  }, [blurHash])
  if (blurHash === undefined) return null
  // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a canvas takes no focus
  return <canvas ref={canvas} width={SIZE} height={SIZE} className="picture-blur" aria-hidden="true" />
}
