// The accepted actions of two users on their pages, all of which must be there at the end.
import { createHash } from "node:crypto"
import { gradient } from "../../../../tests/e2e/support/media.mjs"
import { Random } from "../../../../tests/soak/random.mjs"
import type { FilePlan } from "./plan"

/** A message that a person sent through the page. */
export interface Sent {
  who: number
  /** Its current form, for its sender. */
  text: string
  isEdited: boolean
  isDeleted: boolean
  files: FilePlan[]
  /** The key of its row on its sender's page: `c:` and the client's id. */
  key: string | null
}

export class Ledger {
  /** By person, in the order of sending. */
  readonly sent: [Sent[], Sent[]] = [[], []]
  /** By person: whether their reaction is there, by the key of the row on their page and the emoji. */
  readonly reactions: [Map<string, boolean>, Map<string, boolean>] = [new Map(), new Map()]
  readonly counts: Record<string, number> = {}

  add(who: number, text: string, files: FilePlan[] = []): Sent {
    const sent = { who, text, files, isEdited: false, isDeleted: false, key: null }
    this.sent[who]?.push(sent)
    return sent
  }

  react(who: number, key: string, emoji: string, added: boolean): void {
    this.reactions[who]?.set(`${key} ${emoji}`, added)
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }

  own(who: number, matches: (sent: Sent) => boolean): Sent | undefined {
    return this.sent[who]?.find(matches)
  }
}

/** How a text begins: no other text begins so. */
export const prefixOf = (text: string) => text.slice(0, text.indexOf(" ") + 1)

/** The bytes of a planned file. */
export function bytesOf({ name, bytes, seed }: FilePlan): Buffer {
  if (name.endsWith(".png")) return gradient(20 + (seed % 500), 20 + (bytes % 300))
  const random = new Random(seed)
  const words = Buffer.alloc(Math.ceil(bytes / 4) * 4)
  for (let at = 0; at < words.length; at += 4) words.writeUInt32LE(random.whole(0, 2 ** 32), at)
  return Buffer.concat([Buffer.from("PK\u0003\u0004"), words])
}

export const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")
