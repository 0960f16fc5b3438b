import { useEffect, useLayoutEffect, useRef } from "react"

/**
 * A field that is as high as its text, also in browsers without `field-sizing`. The end of the text stays visible while the user types there, also
 * when a keyboard shrinks the field.
 */
export function useAutoGrow(text: string) {
  const field = useRef<HTMLTextAreaElement>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: the text is what changes the height
  useLayoutEffect(() => {
    const element = field.current
    if (!element || CSS.supports("field-sizing", "content")) return
    element.style.height = "auto"
    const borders = element.offsetHeight - element.clientHeight
    element.style.height = `${element.scrollHeight + borders}px`
  }, [text])
  useEffect(() => {
    const element = field.current
    if (!element) return
    const observer = new ResizeObserver(() => {
      const isAtEnd = element.selectionEnd === element.value.length
      if (isAtEnd && document.activeElement === element) element.scrollTop = element.scrollHeight
    })
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  return field
}
