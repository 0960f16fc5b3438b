import { keyNames } from "../logic/shortcuts"
import { isMac } from "./keyboard"

/** The keys of a shortcut, as they are written on the keyboard. */
export function Keys({ keys }: { keys: string }) {
  return (
    <span className="keys" dir="ltr">
      {keyNames(keys, isMac).map((name) => (
        <kbd key={name}>{name}</kbd>
      ))}
    </span>
  )
}
