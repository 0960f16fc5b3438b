/** Every shortcut of the page: the handler, the sheet that lists them, and the tooltips are made of this list. */
interface Shortcut {
  /** The first one is shown in tooltips. */
  keys: readonly string[]
  group: "everywhere" | "conversations" | "writing"
  /**
   * The place where it works, if it is limited: the message field handles its own keys, and the sheet lists them. `empty`: while it is empty, so that the
   * keys of a text stay.
   */
  place?: "composer" | "empty"
  /** Whether holding the key repeats the action. */
  repeats?: true
}

const list = {
  palette: { keys: ["Mod+K"], group: "everywhere" },
  search: { keys: ["Mod+Shift+F"], group: "everywhere" },
  newGroup: { keys: ["Mod+Alt+G"], group: "everywhere" },
  shortcuts: { keys: ["Mod+/", "?"], group: "everywhere" },
  nextRegion: { keys: ["F6"], group: "everywhere" },
  previousRegion: { keys: ["Shift+F6"], group: "everywhere" },

  previous: { keys: ["Alt+ArrowUp"], group: "conversations", repeats: true },
  next: { keys: ["Alt+ArrowDown"], group: "conversations", repeats: true },
  previousUnread: { keys: ["Alt+Shift+ArrowUp"], group: "conversations" },
  nextUnread: { keys: ["Alt+Shift+ArrowDown"], group: "conversations" },
  markRead: { keys: ["Alt+Shift+Enter"], group: "conversations" },
  mute: { keys: ["Mod+Alt+Y"], group: "conversations" },

  composer: { keys: ["Alt+Enter"], group: "writing" },
  replyLast: { keys: ["Mod+ArrowUp"], group: "writing", place: "empty" },
  editLast: { keys: ["ArrowUp"], group: "writing", place: "empty" },
  list: { keys: ["Escape"], group: "writing", place: "composer" },
} as const satisfies Record<string, Shortcut>

export type ShortcutId = keyof typeof list

export const shortcuts: Readonly<Record<ShortcutId, Shortcut>> = list
export const ids = Object.keys(list) as ShortcutId[]
