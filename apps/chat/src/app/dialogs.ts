/** Dialogs opened by shortcuts and from the user's menu: one chunk, loaded while the page is idle or when the first one opens. */
export { Palette } from "../palette/Palette"
export { Settings } from "../settings/Settings"
export { You } from "../settings/You"
export { ShortcutSheet } from "../shortcuts/ShortcutSheet"
