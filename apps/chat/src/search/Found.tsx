import { excerptOf } from "../logic/excerpt"

/** The part of a message around its search matches, which are highlighted. */
export function Found(props: {
  content: string
  highlights: Parameters<typeof excerptOf>[1]
  length?: number
}) {
  return excerptOf(props.content, props.highlights, props.length).map(({ text, isHit }, at) => {
    const key = `${at}`
    return isHit ? <mark key={key}>{text}</mark> : <span key={key}>{text}</span>
  })
}
