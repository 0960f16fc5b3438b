/** What is opened by shortcuts and from the user's menu: one script, which loads while the page is idle, or when one of them opens. */
export { Palette } from "../palette/Palette"
export { Settings } from "../settings/Settings"
export { You } from "../settings/You"
export { ShortcutSheet } from "../shortcuts/ShortcutSheet"
