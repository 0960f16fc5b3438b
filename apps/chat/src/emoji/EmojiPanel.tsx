import { EmojiPicker, type SkinTone } from "frimousse"
import { type AriaAttributes, type ComponentProps, useEffect, useRef, useState } from "react"
import { useTouch } from "../app/hooks"
import { useLanguage } from "../app/language"
import { recentEmoji, rememberEmoji, rememberSkinTone, skinTone } from "../logic/recent-emoji"
import { words } from "../strings"

/** The package stores the data of each address. Data of former builds would fill the storage. */
function dropFormer(): void {
  try {
    for (const key of Object.keys(localStorage))
      if (key.startsWith("frimousse/data/") && !key.includes(__EMOJI_DATA__)) localStorage.removeItem(key)
  } catch {}
}
dropFormer()

const COLUMNS = 8
/** On touch, where each needs 44 px. */
const TOUCH_COLUMNS = 7

type Group = keyof typeof words.emoji.groups

/** The data has the keys of the groups in place of names, and the package makes their first letters large. */
const groupName = (label: string) => words.emoji.groups[label.toLowerCase() as Group] ?? label

/** ARIA counts rows and columns from 1, and the package from 0. */
function fromOne(attributes: AriaAttributes): AriaAttributes {
  const { "aria-rowindex": row, "aria-colindex": column } = attributes
  return {
    ...(row !== undefined && { "aria-rowindex": row + 1 }),
    ...(column !== undefined && { "aria-colindex": column + 1 }),
  }
}

/** Outside of the panel: new components would remount the list with each key. */
const components: NonNullable<ComponentProps<typeof EmojiPicker.List>["components"]> = {
  CategoryHeader: ({ category, ...rest }) => (
    <div {...rest} className="emoji-category">
      {groupName(category.label)}
    </div>
  ),
  Row: ({ children, ...rest }) => (
    <div {...rest} {...fromOne(rest)} className="emoji-row">
      {children}
    </div>
  ),
  Emoji: ({ emoji, ...rest }) => (
    <button {...rest} {...fromOne(rest)} type="button" className="emoji-one" title={emoji.label}>
      {emoji.emoji}
    </button>
  ),
}

/** Emoji by category, with a search, the last used ones, and skin tones. */
export default function EmojiPanel({ onPick }: { onPick: (emoji: string) => void }) {
  const touch = useTouch()
  const language = useLanguage()
  const columns = touch ? TOUCH_COLUMNS : COLUMNS
  const [tone] = useState(skinTone)
  const [query, setQuery] = useState("")
  const [recent] = useState(() => recentEmoji(columns))
  const field = useRef<HTMLInputElement>(null)

  // On touch the keyboard would cover the emoji.
  useEffect(() => {
    if (!touch) field.current?.focus()
  }, [touch])

  function pick(emoji: string) {
    rememberEmoji(emoji)
    onPick(emoji)
  }

  return (
    <EmojiPicker.Root
      className="emoji-panel"
      // Each language has a folder of its own: see build/emoji-data.ts.
      locale="en"
      emojibaseUrl={`${__EMOJI_DATA__}/${language}`}
      columns={columns}
      skinTone={tone}
      onEmojiSelect={({ emoji }) => pick(emoji)}
    >
      <div className="emoji-search">
        <EmojiPicker.Search
          ref={field}
          className="field"
          data-testid="emoji-search"
          aria-label={words.emoji.search}
          placeholder={words.emoji.search}
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
        <EmojiPicker.SkinTone emoji="✋">
          {({ skinTone, setSkinTone, skinToneVariations }) => (
            <SkinTones
              tone={skinTone}
              all={skinToneVariations}
              onTone={(next) => {
                setSkinTone(next)
                rememberSkinTone(next)
              }}
            />
          )}
        </EmojiPicker.SkinTone>
      </div>
      {!query && (
        <fieldset className="emoji-recent" aria-label={words.emoji.recent}>
          {recent.map((emoji) => (
            <button key={emoji} type="button" className="emoji-one" onClick={() => pick(emoji)}>
              {emoji}
            </button>
          ))}
        </fieldset>
      )}
      <EmojiPicker.Viewport className="emoji-viewport" tabIndex={0} aria-label={words.emoji.label}>
        <EmojiPicker.Loading className="emoji-wait">{words.emoji.loading}</EmojiPicker.Loading>
        <EmojiPicker.Empty className="emoji-wait">{words.emoji.none}</EmojiPicker.Empty>
        <EmojiPicker.List className="emoji-list" components={components} />
      </EmojiPicker.Viewport>
      <EmojiPicker.ActiveEmoji>
        {({ emoji }) => (
          <p className="emoji-active" aria-hidden="true">
            {emoji ? `${emoji.emoji} ${emoji.label}` : words.emoji.choose}
          </p>
        )}
      </EmojiPicker.ActiveEmoji>
    </EmojiPicker.Root>
  )
}

/** The skin tones behind one button: a press shows them all. */
function SkinTones(props: {
  tone: SkinTone
  all: readonly { skinTone: SkinTone; emoji: string }[]
  onTone: (tone: SkinTone) => void
}) {
  const { tone, all, onTone } = props
  const [open, setOpen] = useState(false)
  const current = all.find((one) => one.skinTone === tone)
  return (
    <div className="emoji-tones">
      <button
        type="button"
        className="emoji-one"
        data-testid="skin-tone"
        aria-expanded={open}
        aria-label={words.emoji.tone(words.emoji.tones[tone])}
        title={words.emoji.toneTitle}
        onClick={() => setOpen(!open)}
      >
        {current?.emoji ?? "✋"}
      </button>
      {open && (
        <fieldset className="emoji-tone-choices" aria-label={words.emoji.toneTitle}>
          {all.map((one) => (
            <button
              key={one.skinTone}
              type="button"
              className="emoji-one"
              aria-pressed={one.skinTone === tone}
              aria-label={words.emoji.tones[one.skinTone]}
              onClick={() => {
                onTone(one.skinTone)
                setOpen(false)
              }}
            >
              {one.emoji}
            </button>
          ))}
        </fieldset>
      )}
    </div>
  )
}
