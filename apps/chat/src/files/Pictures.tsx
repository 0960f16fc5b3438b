import type { SharedFile } from "@lamplight/client"
import { useMessages } from "@lamplight/react"
import { useMemo } from "react"
import { moment } from "../logic/time"
import { useThreadActions } from "../thread/actions"
import { later } from "../ui/later"
import { kindOf } from "./layout"

const Viewer = later(() => import("./Viewer"), null)

/** The viewer over the pictures of a conversation that are loaded. */
export function Pictures(props: { id: string; file: SharedFile; opener: HTMLElement; onClose: () => void }) {
  const { id, file, opener, onClose } = props
  const { rows } = useMessages(id)
  const { nameOf } = useThreadActions()
  const pictures = useMemo(
    () =>
      rows.flatMap(({ attachments, senderId, createdAt, deletedAt }) =>
        deletedAt === null
          ? attachments
              .filter((one) => kindOf(one) === "picture")
              .map((one) => ({ file: one, by: nameOf(senderId), at: moment(new Date(createdAt)) }))
          : [],
      ),
    [rows, nameOf],
  )
  return (
    <Viewer
      pictures={pictures}
      start={file.id}
      onClose={() => {
        onClose()
        requestAnimationFrame(() => opener.focus({ preventScroll: true }))
      }}
    />
  )
}
