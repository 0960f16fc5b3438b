import { useLayoutEffect, useRef } from "react"

/** A field that is as high as its text, for browsers without `field-sizing`. */
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
  return field
}
