/** The types of the state that an application reads. */
export type * from "./types/conversations.js"
export type * from "./types/files.js"
export type * from "./types/messages.js"
export type * from "./types/outbox.js"
export type * from "./types/people.js"
export type * from "./types/state.js"
