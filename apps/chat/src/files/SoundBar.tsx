import { Pause, Play, X } from "lucide-react"
import { useState } from "react"
import { words } from "../strings"
import { IconButton } from "../ui/Button"
import { durationText } from "./layout"
import { pauseSound, playSound, type Source, useSound, useSoundElsewhere } from "./sound"

/** Controls audio whose message is out of view, which could not be paused otherwise. */
export function SoundBar() {
  const source = useSoundElsewhere()
  return source && <Bar key={source.id} source={source} />
}

function Bar({ source }: { source: Source }) {
  const { state, time } = useSound(source.id)
  const isOn = state === "playing" || state === "waiting"
  /** Whether it was paused by this bar, which then stays to continue it. Audio paused at its message needs no bar. */
  const [isHeld, setHeld] = useState(false)
  if (!isOn && !isHeld) return null
  const Icon = isOn ? Pause : Play
  return (
    <section className="sound-bar" data-testid="sound-bar" aria-label={words.files.playing}>
      <IconButton
        label={words.files[isOn ? "pause" : "play"](source.name)}
        data-testid="bar-play"
        onClick={() => {
          setHeld(true)
          if (isOn) pauseSound()
          else playSound(source)
        }}
      >
        <Icon size={18} fill="currentColor" aria-hidden="true" />
      </IconButton>
      <span className="sound-bar-name" dir="auto">
        {source.name}
      </span>
      <span className="player-time">{durationText(Math.floor(time))}</span>
      <IconButton
        label={words.files.stop}
        data-testid="bar-stop"
        onClick={() => {
          setHeld(false)
          pauseSound()
        }}
      >
        <X size={18} aria-hidden="true" />
      </IconButton>
    </section>
  )
}
