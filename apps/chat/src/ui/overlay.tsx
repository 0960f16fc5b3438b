import type { ComponentType } from "react"
import { type Later, later } from "./later"

type Overlays = typeof import("../app/overlays")

/** A menu or dialog of the script that they share. `pick` names it. */
export function overlay<P extends object>(pick: (overlays: Overlays) => ComponentType<P>): Later<P> {
  return later(async () => ({ default: pick(await import("../app/overlays")) }), null, {
    soon: true,
    failure: "over",
  })
}
