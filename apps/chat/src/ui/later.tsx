import { type ComponentType, type ReactNode, useEffect, useReducer, useState } from "react"
import { words } from "../strings"
import { Button } from "./Button"
import { loadSoon } from "./preload"
import { State } from "./State"

interface LaterOptions<P> {
  /** Load the script as soon as the page is idle, and not only when it is shown. */
  soon?: boolean
  /** Where a failure to load is shown: in the component's place (the default), or over the page. */
  failure?: "here" | "over"
  /** The content shown instead of such a failure. */
  instead?: (props: P) => ReactNode
}

/** A component that is loaded later. */
export type Later<P> = ComponentType<P> & {
  /** Loads it now, because it is about to be shown. A failure shows when it is. */
  preload(): void
}

/**
 * A component whose script loads when it is first shown. Without a network it says so and tries again when asked, or when the
 * network is back, where React's `lazy` would fail for good.
 */
export function later<P extends object>(
  load: () => Promise<{ default: ComponentType<P> }>,
  /** With texts it is a function: they are not there yet when the file loads, and change with the language. */
  loading: ReactNode | (() => ReactNode),
  { soon = false, failure = "here", instead }: LaterOptions<P> = {},
): Later<P> {
  let Loaded: ComponentType<P> | null = null
  const take = async () => {
    Loaded ??= (await load()).default
  }
  if (soon) loadSoon(take)

  function LaterComponent(props: P) {
    const [, update] = useReducer((n: number) => n + 1, 0)
    const [attempt, setAttempt] = useState(0)
    const [failedAt, setFailedAt] = useState(-1)
    const wasLoaded = Loaded !== null
    // biome-ignore lint/correctness/useExhaustiveDependencies: what was loaded when this was drawn needs no other attempt
    useEffect(() => {
      if (Loaded) {
        // Between the drawing and this.
        if (!wasLoaded) update()
        return
      }
      let isMounted = true
      take().then(
        () => {
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
    const isFailed = failedAt === attempt
    useEffect(() => {
      if (!isFailed) return
      const again = () => setAttempt((n) => n + 1)
      addEventListener("online", again)
      return () => removeEventListener("online", again)
    }, [isFailed])
    if (Loaded) return <Loaded {...props} />
    if (!isFailed) return typeof loading === "function" ? loading() : loading
    if (instead) return instead(props)
    const state = (
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
    return failure === "over" ? <div className="menu not-loaded">{state}</div> : state
  }
  return Object.assign(LaterComponent, { preload: () => void take().catch(() => {}) })
}
