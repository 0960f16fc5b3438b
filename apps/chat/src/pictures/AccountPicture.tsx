import type { User } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { nameOf } from "../logic/members"
import { safePicture } from "../logic/picture"
import { Avatar } from "../ui/Avatar"
import { PictureForm } from "./PictureForm"
import { ACCOUNT_PICTURE } from "./send"

/** The picture of the user's account (`AUTH=local`). */
export function AccountPicture({ self }: { self: User }) {
  const client = useLamplight()
  return (
    <PictureForm
      self={self}
      path={ACCOUNT_PICTURE}
      face={<Avatar id={self.id} name={nameOf(self)} avatarUrl={self.avatarUrl} size="xl" />}
      present={safePicture(self.avatarUrl)}
      // The client learns of the new profile.
      onSent={client.session}
      onRemove={() => client.updateAccount({ avatarUrl: null })}
    />
  )
}
