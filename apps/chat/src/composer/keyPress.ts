import type { KeyboardEvent } from "react"
import type { KeyPress } from "../logic/keys"

/** The fields of a React key event are getters on its prototype, which a spread would lose. */
export function toKeyPress(event: KeyboardEvent): KeyPress {
  return {
    key: event.key,
    shiftKey: event.shiftKey,
    ctrlKey: event.ctrlKey,
    metaKey: event.metaKey,
    altKey: event.altKey,
    keyCode: event.keyCode,
    timeStamp: event.timeStamp,
    isComposing: event.nativeEvent.isComposing,
  }
}
