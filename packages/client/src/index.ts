/** `@lamplight/client`: presence and private messages. Importing it does nothing; `createLamplight` starts it. */
export type * from "./api.js"
export { createLamplight } from "./client.js"
export { isVisible, MAX_MESSAGE_LENGTH, messageLength } from "./content.js"
export { LamplightError, Unauthorized } from "./errors.js"
export type * from "./options.js"
export { indexedDbStorage, memoryStorage } from "./storage.js"
export type * from "./types.js"
export type * from "./wire.js"
