import type { Page } from "playwright-core"

/**
 * Finds unreadable text and unusable controls: text outside of the window or cut off by its box (except by an ellipsis), and covered
 * controls. Checks the topmost layer, if there is a menu or a dialog.
 */
export function misfits(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = []
    const layers = document.querySelectorAll<HTMLElement>(
      'dialog[open], [role="dialog"], [role="alertdialog"], [role="menu"]',
    )
    const layer = [...layers].filter((one) => one.checkVisibility()).at(-1) ?? document.body
    const name = (element: Element) =>
      `${element.tagName.toLowerCase()}.${[...element.classList].join(".")} "${element.textContent?.trim().slice(0, 40)}"`
    const isHidden = (element: HTMLElement) =>
      !element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) ||
      element.closest("[inert], .sr-only, .skip") !== null ||
      getComputedStyle(element).clipPath !== "none"
    /** Whether the box is within all that clips it, as far as nothing scrolls there. */
    const problem = (element: HTMLElement, box: DOMRect): string | null => {
      let scrollsX = false
      let scrollsY = false
      for (let at: HTMLElement | null = element; at; at = at.parentElement) {
        const style = getComputedStyle(at)
        // An ellipsis stands in lines, and not where each part of the text is a box of its own.
        const hasLines = !/flex|grid/.test(style.display)
        const isCutNicely =
          (hasLines && style.textOverflow === "ellipsis") || style.webkitLineClamp !== "none"
        if (isCutNicely) scrollsX = scrollsY = true
        if (
          /auto|scroll/.test(style.overflowX) &&
          at.scrollWidth > at.clientWidth + 1 &&
          at.matches("pre, textarea")
        )
          scrollsX = true
        if (/auto|scroll/.test(style.overflowY)) scrollsY = true
        const edge = at.getBoundingClientRect()
        if (
          !scrollsX &&
          style.overflowX !== "visible" &&
          (box.left < edge.left - 1 || box.right > edge.right + 1)
        )
          return `cut at the side by ${name(at).slice(0, 60)}`
        if (
          !scrollsY &&
          style.overflowY !== "visible" &&
          (box.top < edge.top - 1 || box.bottom > edge.bottom + 1)
        )
          return `cut above or below by ${name(at).slice(0, 60)}`
        if (style.position === "fixed") break
      }
      return !scrollsX && (box.left < -1 || box.right > innerWidth + 1) ? "beyond the window" : null
    }
    const texts = document.createTreeWalker(layer, NodeFilter.SHOW_TEXT)
    for (let node = texts.nextNode(); node; node = texts.nextNode()) {
      const element = node.parentElement
      if (!element || !node.textContent?.trim() || isHidden(element)) continue
      const range = document.createRange()
      range.selectNodeContents(node)
      // A letter's box is higher than its line.
      const { left, right, top, height, width } = range.getBoundingClientRect()
      if (width === 0) continue
      const inner = new DOMRect(left, top + height * 0.2, right - left, height * 0.6)
      const why = problem(element, inner)
      if (why) found.push(`${why}: ${name(element)}`)
    }
    for (const control of layer.querySelectorAll<HTMLElement>("button, a[href], input, textarea")) {
      if (isHidden(control) || control.matches('[tabindex="-1"].row-menu, input[type="file"]')) continue
      const box = control.getBoundingClientRect()
      const [x, y] = [box.left + box.width / 2, box.top + box.height / 2]
      if (x < 0 || x > innerWidth) found.push(`beyond the window: ${name(control)}`)
      // Scrolled away.
      let scroller: HTMLElement | null = control.parentElement
      while (scroller && !/auto|scroll/.test(getComputedStyle(scroller).overflowY))
        scroller = scroller.parentElement
      const view = scroller?.getBoundingClientRect()
      if (y < Math.max(0, view?.top ?? 0) || y > Math.min(innerHeight, view?.bottom ?? innerHeight)) continue
      const hit = document.elementFromPoint(x, y)
      if (hit && !control.contains(hit) && !hit.contains(control) && !hit.closest(".log-overlay"))
        found.push(`${name(control)} is covered by ${name(hit)}`)
    }
    if (document.documentElement.scrollWidth > innerWidth) found.push("the page scrolls sideways")
    return found
  })
}
