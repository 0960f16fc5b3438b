/**
 * Keeps the composer above a phone's keyboard. Where the keyboard shrinks the page (`interactive-widget` in the head) the
 * style sheet's `100dvh` is right by itself; where it only covers the page, as on iOS, the part that can be seen is
 * measured. While one has zoomed in, nothing is touched: the zoom is the person's.
 */
export function startViewport(): void {
  const seen = window.visualViewport
  if (!seen) return
  const fit = () => {
    const covered = innerHeight - seen.height > 80 && Math.abs(seen.scale - 1) < 0.01
    const { style } = document.documentElement
    if (covered) {
      style.setProperty("--viewport", `${seen.height}px`)
      // The browser scrolls the field into view under the keyboard; with the page fitted there is nothing to scroll.
      scrollTo(0, 0)
    } else style.removeProperty("--viewport")
  }
  seen.addEventListener("resize", fit)
  seen.addEventListener("scroll", fit)
}
