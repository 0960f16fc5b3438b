/** The menus and dialogs over the page: one script, which loads while the page is idle, or when the first of them opens. */
export { default as ConversationMenu } from "../conversations/ConversationMenu"
export { EmojiPopover } from "../emoji/EmojiPopover"
export { StatusPanel } from "../presence/StatusPanel"
export { AccountDialog } from "../session/AccountDialog"
export { DeleteDialog } from "../thread/DeleteDialog"
export { default as JumpToDate } from "../thread/JumpToDate"
export { MessageMenu } from "../thread/MessageMenu"
export { PinsMenu } from "../thread/PinsMenu"
