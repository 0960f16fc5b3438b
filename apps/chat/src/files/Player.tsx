/** An audio player: a button, a seek bar, the time, and the speed. */
import { Download, Pause, Play } from "lucide-react"
import { type CSSProperties, useEffect, useRef } from "react"
import { number } from "../languages/format"
import { words } from "../strings"
import { FileName } from "./FileName"
import { durationText } from "./layout"
import { nextSpeed, pauseSound, playSound, seekSound, useShown, useSound, useSpeed } from "./sound"

/** A new address that arrives later than this is not played automatically: the user may have moved on. */
const RENEWED_WITHIN_MS = 10_000
/** A press of an arrow key, in seconds; in a short sound a smaller one. */
const STEP_S = 5
const SHORT_S = 20
/** In place of a duration that is not known before the sound is played. */
const UNKNOWN_TIME = "–:––"

export function Player(props: {
  id: string
  /** Null until it is known. */
  address: string | null
  name: string
  /** A voice message has no name to show. */
  isVoice: boolean
  /** In seconds, where the server knows it. */
  duration?: number | undefined
  /** Plays at once. */
  autoPlay?: boolean
  /** Whether it can be downloaded. */
  canSave?: boolean
  testId: string
  /** It could not be played; it is tried again with the next address. */
  onFail?: () => void
}) {
  const { id, address, isVoice, autoPlay = false, canSave = false, testId, onFail } = props
  const sound = useSound(id)
  const speed = useSpeed()
  const name = isVoice ? words.files.voice : props.name
  const total = sound.duration ?? props.duration ?? null
  const isOn = sound.state === "playing" || sound.state === "waiting"
  const isFailed = sound.state === "failed"
  useShown(id)
  const time = total === null ? sound.time : Math.min(sound.time, total)

  const clock = total === null && time === 0 ? UNKNOWN_TIME : durationText(Math.floor(time))

  function play() {
    if (address !== null) playSound({ id, address, name, duration: props.duration ?? null })
  }

  // biome-ignore lint/correctness/useExhaustiveDependencies: once
  useEffect(() => {
    if (autoPlay) play()
  }, [])

  /** The address that failed, and when: if another one is given soon, it is played without another press. */
  const failed = useRef<{ address: string | null; at: number } | null>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: for each failure, and each new address
  useEffect(() => {
    if (sound.state === "playing") failed.current = null
    if (sound.state !== "failed") return
    if (failed.current === null) {
      failed.current = { address, at: Date.now() }
      onFail?.()
    } else if (failed.current.address !== address && Date.now() - failed.current.at < RENEWED_WITHIN_MS) {
      failed.current = { address, at: 0 }
      play()
    }
  }, [sound.state, address])

  const Icon = isOn ? Pause : Play
  const label = words.files[isOn ? "pause" : "play"](name)
  return (
    // A sound runs from left to right in every language, as its button points.
    <div className="player" dir="ltr" data-testid={testId} data-state={sound.state}>
      <button
        type="button"
        className="player-button"
        data-testid="play"
        aria-label={label}
        title={label}
        aria-busy={sound.state === "waiting"}
        onClick={() => (isOn ? pauseSound() : play())}
      >
        <Icon size={20} fill="currentColor" aria-hidden="true" />
      </button>
      <input
        type="range"
        className="player-seek"
        data-testid="seek"
        aria-label={words.files.position(name)}
        aria-valuetext={total === null ? undefined : words.files.timeOf(clock, durationText(total))}
        min={0}
        max={total ?? 1}
        step="any"
        value={total === null ? 0 : time}
        disabled={total === null}
        style={{ "--played": `${total ? (time / total) * 100 : 0}%` } as CSSProperties}
        onChange={(event) => seekSound(id, Number(event.target.value))}
        onKeyDown={(event) => {
          const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0
          if (!step || total === null) return
          event.preventDefault()
          const to = time + step * (total > SHORT_S ? STEP_S : 1)
          seekSound(id, Math.min(total, Math.max(0, to)))
        }}
      />
      <div className="player-line">
        <span className="player-name">{!isVoice && <FileName name={name} />}</span>
        {isFailed ? (
          <span className="player-failed" dir="auto" role="status">
            {words.files.notPlayed}
          </span>
        ) : (
          <span className="player-time" data-testid="play-time">
            {total === null || time > 0 ? clock : durationText(total)}
            {total !== null && time > 0 && (
              <span className="player-total">{` / ${durationText(total)}`}</span>
            )}
          </span>
        )}
        <button
          type="button"
          className="player-tool"
          data-testid="speed"
          aria-label={words.files.speed(speed)}
          title={words.files.speed(speed)}
          onClick={nextSpeed}
        >
          {`${number(speed)}×`}
        </button>
        {canSave && (
          <a
            className="player-tool"
            href={address ?? undefined}
            download={props.name}
            aria-label={`${words.files.save} ${name}`}
            title={words.files.save}
          >
            <Download size={16} aria-hidden="true" />
          </a>
        )}
      </div>
    </div>
  )
}
