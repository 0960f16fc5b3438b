import { useLamplight } from "@lamplight/react"
import { Camera } from "lucide-react"
import { useState } from "react"
import { focusDetails } from "../app/regions"
import { safePicture } from "../logic/picture"
import { PictureForm } from "../pictures/PictureForm"
import { groupPicture } from "../pictures/send"
import { words } from "../strings"
import { IconButton } from "../ui/Button"
import { ConversationAvatar } from "../ui/ConversationAvatar"
import { Modal } from "../ui/Modal"
import type { DetailsProps } from "./props"

/** The picture of a group. Its admins change it in a dialog. */
export function GroupPicture({ item, self, canEdit }: DetailsProps & { canEdit: boolean }) {
  const { updateGroup } = useLamplight()
  const [opener, setOpener] = useState<HTMLElement | null>(null)
  const face = <ConversationAvatar item={item} selfId={self.id} size="xl" />
  return (
    <div className="details-picture">
      {face}
      {canEdit && (
        <IconButton
          label={words.pictures.ofGroup}
          className="details-picture-edit"
          data-testid="group-picture"
          onClick={({ currentTarget }) => setOpener(currentTarget)}
        >
          <Camera size={16} aria-hidden="true" />
        </IconButton>
      )}
      {opener && (
        <Modal
          title={words.pictures.groupTitle}
          testId="picture-dialog"
          focus={{ opener, otherwise: focusDetails }}
          onClose={() => setOpener(null)}
        >
          <PictureForm
            self={self}
            path={groupPicture(item.id)}
            face={face}
            present={safePicture(item.avatarUrl)}
            onRemove={() => updateGroup(item.id, { avatarUrl: null })}
          />
        </Modal>
      )}
    </div>
  )
}
