/**
 * Keeps the composer above a phone's keyboard. Where the keyboard shrinks the page (`interactive-widget` in
 * the head), `100dvh` in the style sheet is enough; where it covers the page, as on iOS, the visible part is
 * measured. A page that the user has zoomed into is left alone.
 */
export function startViewport(): void {
  const seen = window.visualViewport
  if (!seen) return
  const fit = () => {
    const covered = innerHeight - seen.height > 80 && Math.abs(seen.scale - 1) < 0.01
    const { style } = document.documentElement
    if (covered) {
      style.setProperty("--viewport", `${seen.height}px`)
      // The browser scrolls the field into view under the keyboard; after the page is resized there is
      // nothing to scroll.
      scrollTo(0, 0)
    } else style.removeProperty("--viewport")
  }
  seen.addEventListener("resize", fit)
  seen.addEventListener("scroll", fit)
}
