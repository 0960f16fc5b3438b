import { type ComponentType, type ReactNode, useEffect, useReducer, useState } from "react"
import { words } from "../strings"
import { Button } from "./Button"
import { State } from "./State"

/**
 * A component whose script loads when it is first shown. Without a network it says so and tries again when asked, where
 * React's `lazy` would fail for good.
 */
export function later<P extends object>(
  load: () => Promise<{ default: ComponentType<P> }>,
  loading: ReactNode,
): ComponentType<P> {
  let Loaded: ComponentType<P> | null = null
  return function Later(props: P) {
    const [, update] = useReducer((n: number) => n + 1, 0)
    const [attempt, setAttempt] = useState(0)
    const [failedAt, setFailedAt] = useState(-1)
    useEffect(() => {
      if (Loaded) return
      let isMounted = true
      load().then(
        (loaded) => {
          Loaded = loaded.default
          if (isMounted) update()
        },
        () => {
          if (isMounted) setFailedAt(attempt)
        },
      )
      return () => {
        isMounted = false
      }
    }, [attempt])
    if (Loaded) return <Loaded {...props} />
    if (failedAt !== attempt) return loading
    return (
      <State
        kind="error"
        title={words.errors.notLoaded}
        lead={words.errors.network}
        action={
          <Button look="line" onClick={() => setAttempt(attempt + 1)}>
            {words.list.retry}
          </Button>
        }
      />
    )
  }
}
