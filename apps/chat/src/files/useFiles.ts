import type { Upload } from "@lamplight/client"
import { useLamplight, useUploads } from "@lamplight/react"
import { useCallback, useEffect, useMemo, useState } from "react"
import { words } from "../strings"
import { fileReason } from "../ui/failure"
import { toast } from "../ui/toast"

/** The most files of one message. */
const MAX_FILES = 10

/** The files of the composer: chosen, dropped or pasted, until a message takes them. */
export function useFiles(id: string) {
  const { uploads: all, add } = useUploads(id)
  const client = useLamplight()
  // Uploads that a message is taking: they are not sent twice while the message is being stored.
  const [taken, setTaken] = useState<readonly string[]>([])
  const uploads = useMemo(() => all.filter((one) => !taken.includes(one.id)), [all, taken])
  const count = uploads.length

  const attach = useCallback(
    (files: readonly File[]) => {
      const room = MAX_FILES - count
      if (files.length > room) toast.error(words.files.tooMany(MAX_FILES), { id: "too-many-files" })
      for (const file of files.slice(0, Math.max(0, room))) {
        add(id, file).catch((thrown: unknown) =>
          toast.error(words.files.notAttached(file.name), { description: fileReason(thrown) }),
        )
      }
    },
    [add, id, count],
  )

  /** Marks them as taken. Returns a function that returns them if the message is refused. */
  const take = useCallback((some: readonly Upload[]) => {
    const ids = some.map((one) => one.id)
    setTaken((before) => [...before, ...ids])
    return () => setTaken((before) => before.filter((one) => !ids.includes(one)))
  }, [])

  // So that files can be chosen without a network later. After what the first screen needs.
  useEffect(() => {
    const timer = setTimeout(() => client.uploads.load().catch(() => {}), 4_000)
    return () => clearTimeout(timer)
  }, [client])

  return { uploads, attach, take }
}

/** The files of a paste or a drop. Text wins over an image: programs put a picture of the text beside it. */
export function filesOf(data: DataTransfer | null, isPaste = false): File[] {
  if (!data || (isPaste && data.types.includes("text/plain"))) return []
  return [...data.files]
}
