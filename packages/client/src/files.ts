/**
 * The files of messages: the part that is needed before one is used. The rest loads on first use and imports only types from here, or a
 * bundler would split the client into more chunks.
 */
import type { Core } from "./core.js"
import { toError } from "./errors.js"
import { cell, view } from "./store.js"
import type { Store, Upload, Uploads } from "./types.js"
import type { FilesOptions, FilesPart } from "./uploads/contract.js"
import type { FileProgress, SharedFile } from "./wire.js"

/** A chunk that failed to load is requested again after this delay. */
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
          /** Null once it is not needed any more. */
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
    /** Removes the stored uploads of a user. */
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
