import { useLayoutEffect, useRef } from "react"

/** A field as high as what is written in it. Most browsers do this by themselves; for the others it is done here. */
export function useGrowing(text: string) {
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
