/**
 * The files of messages, as far as they are needed before one is used: the rest loads then. That part imports types only from here, or a
 * bundler would cut the client in pieces.
 */
import type { Core } from "./core.js"
import { toError } from "./errors.js"
import { cell, view } from "./store.js"
import type { Store, Upload, Uploads } from "./types.js"
import type { FilesOptions, FilesPart } from "./uploads/contract.js"
import type { FileProgress, SharedFile } from "./wire.js"

/** A part that did not load is asked for again after this long. */
const RETRY_MS = 3_000

export function createFiles(core: Core, given: Omit<FilesOptions, "sharing">) {
  const { events } = core
  const uploads = cell<readonly Upload[]>([])
  const sharing = cell<readonly FileProgress[]>([])
  let loading: Promise<FilesPart> | null = null

  function load(): Promise<FilesPart> {
    loading ??= import("./uploads/part.js").then(
      ({ createPart }) => createPart(core, { ...given, sharing }, uploads),
      (thrown) => {
        loading = null
        throw toError(thrown)
      },
    )
    return loading
  }
  const need = (use?: (part: FilesPart) => void) => void load().then(use, () => {})
  const act = (action: "pause" | "resume" | "cancel" | "renew") => (id: string) =>
    need((part) => part[action](id))

  core.connection.on("file_progress", (event) => need((part) => part.progress(event)))
  // Messages with files wait in the outbox, also those of earlier pages and of other tabs.
  events.on("unsent", (id) => {
    if (!loading && given.outbox.of(id).some(({ files }) => files)) need()
  })
  events.on("signedIn", async () => {
    if ((await core.storage("get", `uploads:${core.me()}`))?.value) need()
  })

  return {
    sharing: sharing as Store<readonly FileProgress[]>,
    url(file: SharedFile, which?: "file" | "thumbnail"): Store<string | null> {
      const path = (which === "thumbnail" && file.thumbnailUrl) || file.url
      let address = given.cookies ? given.url + path : null
      const made = view(
        address,
        () => address,
        () => {
          /** Null once nobody needs it. */
          let end: (() => void) | null = () => {}
          const sign = (): unknown =>
            load().then(
              (part) => {
                if (!end) return
                end = part.sign(file.id, path, (next) => {
                  address = next
                  made.touch()
                })
              },
              () => end && core.isUser(core.me()) && core.clock.after(RETRY_MS, sign),
            )
          sign()
          return () => {
            end?.()
            end = null
          }
        },
      )
      return made
    },
    renew: act("renew"),
    /** Removes what is stored of a user's uploads. */
    async erase(userId: string): Promise<void> {
      const key = `uploads:${userId}`
      if ((await core.storage("get", key))?.value) await (await load()).erase(userId)
      await core.storage("set", key, undefined)
    },
    uploads: {
      ...uploads,
      add: async (id, file) => (await load()).add(id, file),
      pause: act("pause"),
      resume: act("resume"),
      cancel: act("cancel"),
      load: () => load().then(() => {}),
    } satisfies Uploads,
  }
}
