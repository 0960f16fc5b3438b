/**
 * Layers open over a view and close on their own: dialogs, menus, sheets, the viewer, a search, the archive. On a phone each has an
 * entry in the history, so that "back" closes it. An entry says how many layers are open there, and the history follows the layers:
 * entries are added and left a moment after layers opened and closed. A menu whose choice opens a dialog changes nothing therefore.
 */
import { useEffect, useRef } from "react"
import { PHONE } from "../design/breakpoints"
import { TOUCH } from "./hooks"

/** Whether "back" is a gesture or a button of the system. */
const HAS_BACK = `${PHONE}, ${TOUCH}`

interface Layer {
  close: () => void
  /** Its history entry stays below the next view, so that "back" returns to it. */
  stays: boolean
}

const open: Layer[] = []
/** The browser is on its way to another entry, which takes a moment. */
let isTravelling = false
const afterTravel: (() => void)[] = []
let isSyncing = false

/** How many layers the entry that is shown has. */
export function layersHere(): number {
  const { layers } = (history.state ?? {}) as { layers?: number }
  return layers ?? 0
}

/** How many of these entries have to be left before another view: the lowest ones (a search, the archive) stay. */
export function layersToLeave(): number {
  const other = open.findIndex(({ stays }) => !stays)
  return Math.max(0, layersHere() - (other < 0 ? open.length : other))
}

export const isBusy = (): boolean => isTravelling

/** Runs a function once the browser's navigation is done. */
export function whenArrived(run: () => void): void {
  if (isTravelling) afterTravel.push(run)
  else run()
}

/** Goes back by some entries. `then` runs on arrival. */
export function travel(steps: number, then: () => void = () => {}): void {
  isTravelling = true
  afterTravel.unshift(then)
  history.go(-steps)
}

function sync(): void {
  isSyncing = false
  if (isTravelling) {
    afterTravel.push(later)
    return
  }
  const here = layersHere()
  if (here > open.length) travel(here - open.length)
  for (let layers = here + 1; layers <= open.length; layers += 1)
    history.pushState({ ...history.state, layers }, "")
}

/** Runs after the current task: one layer may replace another. */
function later(): void {
  if (isSyncing) return
  isSyncing = true
  setTimeout(sync)
}

function arrive(): void {
  if (isTravelling) {
    isTravelling = false
    for (const run of afterTravel.splice(0)) whenArrived(run)
    // The entry may belong to a layer that is closed by now.
    later()
    return
  }
  // "Back" closes the layers above, the uppermost first. "Forward" leads to an entry whose layers are closed, and is undone.
  for (const layer of open.slice(layersHere()).reverse()) layer.close()
  later()
}

/** Called once at the start. */
export function startLayers(): void {
  addEventListener("popstate", arrive)
  // The page was loaded where a layer was open.
  if (layersHere() > 0) later()
}

/** Makes "back" close this component's layer while it is mounted and `isOpen`. `stays`: see `Layer`. */
export function useLayer(onClose: () => void, isOpen = true, stays = false): void {
  const close = useRef(onClose)
  close.current = onClose
  useEffect(() => {
    if (!isOpen || !matchMedia(HAS_BACK).matches) return
    const layer = { close: () => close.current(), stays }
    open.push(layer)
    later()
    return () => {
      open.splice(open.indexOf(layer), 1)
      later()
    }
  }, [isOpen, stays])
}
