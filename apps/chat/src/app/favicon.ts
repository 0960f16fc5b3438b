import { badge } from "../logic/title"

let original: string | null = null
let shown = -1

/** Draws the unread number into the tab's icon, or restores the icon. */
export function showOnFavicon(unread: number): void {
  if (unread === shown) return
  shown = unread
  const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]')
  if (!link) return
  original ??= link.href
  if (unread === 0) {
    link.href = original
    return
  }
  const image = new Image()
  image.onload = () => {
    // The number may have changed while the icon was loading.
    if (shown !== unread) return
    const canvas = document.createElement("canvas")
    canvas.width = 64
    canvas.height = 64
    const pen = canvas.getContext("2d")
    if (!pen) return
    pen.drawImage(image, 0, 0, 64, 64)
    const text = unread > 99 ? "99+" : badge(unread)
    const width = text.length === 1 ? 36 : text.length === 2 ? 46 : 58
    pen.fillStyle = "#fff"
    pen.beginPath()
    pen.roundRect(64 - width - 2, 26, width + 2, 38, 19)
    pen.fill()
    pen.fillStyle = "#b3372b"
    pen.beginPath()
    pen.roundRect(64 - width, 28, width, 36, 18)
    pen.fill()
    pen.fillStyle = "#fff"
    pen.font = "700 28px system-ui, sans-serif"
    pen.textAlign = "center"
    pen.textBaseline = "middle"
    pen.fillText(text, 64 - width / 2, 47)
    link.href = canvas.toDataURL("image/png")
  }
  image.src = original
}
