import type { MessageRow } from "@lamplight/client"
import { Composer } from "../../composer/Composer"
import type { Row } from "../../logic/rows"
import { ThreadActionsContext } from "../../thread/actions"
import type { DeliveryState } from "../../thread/delivery-state"
import { LogRow } from "../../thread/LogRow"
import { TypingStrip } from "../../thread/TypingStrip"
import { ago, asha, ben, file, message, NOW, upload } from "./data"
import { Story } from "./Story"

const nothing = () => {}
export const nameOf = (id: string) => (id === asha.id ? "You" : ben.name)

const actions = {
  reply: nothing,
  edit: nothing,
  react: nothing,
  pickEmoji: nothing,
  pin: nothing,
  copyLink: nothing,
  remove: nothing,
  copy: nothing,
  openPicture: nothing,
  excerptOf: ({ excerpt }: { excerpt: string }) => excerpt,
  jump: nothing,
  pickDate: nothing,
  selfId: asha.id,
  memberName: (id: string) => (id === asha.id ? asha.name : ben.name),
  nameOf,
}

/** Rows as a thread shows them. */
export function Sheet({
  rows,
  active = "",
}: {
  rows: readonly [Row<MessageRow>, DeliveryState?][]
  active?: string
}) {
  return (
    <ThreadActionsContext.Provider value={actions}>
      <div className="story-sheet">
        {rows.map(([row, delivery = null]) => (
          <div key={row.key} className="log-row" data-case={row.key}>
            <LogRow
              row={row}
              name={ben.name}
              selfId={asha.id}
              nameOf={nameOf}
              isGroup={false}
              handle={undefined}
              today={new Date(NOW)}
              delivery={delivery}
              newest={delivery !== null}
              behindFailed={false}
              canChange={true}
              active={row.key === active}
              menuOpen={false}
              onMenu={nothing}
            />
          </div>
        ))}
      </div>
    </ThreadActionsContext.Provider>
  )
}

/** A message that stands alone, under a name of its own for the test. */
const alone = (key: string, content: string, more: Partial<MessageRow> = {}): Row<MessageRow> => ({
  kind: "message",
  key,
  message: { ...message(content, more), key },
  first: true,
  last: true,
})

const head = (key: string, mine: boolean): Row<MessageRow> => ({
  kind: "head",
  hasTime: true,
  key,
  message: message("", { mine }),
})

export function Rows() {
  const change = { conversationId: "c1", senderId: ben.id, createdAt: ago(60) }
  return (
    <Story name="rows of the thread">
      <Sheet
        rows={[
          [{ kind: "start", key: "start" }],
          [{ kind: "day", key: "day", date: new Date(NOW) }],
          [
            {
              kind: "system",
              key: "system",
              system: { ...change, key: "s", seq: 1, changes: [{ kind: "left" }] },
            },
          ],
          [head("head", false)],
          [{ kind: "unread", key: "unread" }],
          [head("own-head", true)],
          [{ kind: "more", key: "more" }],
        ]}
      />
    </Story>
  )
}

export function Bubbles() {
  const group = ["The first of three.", "The one between.", "The last."]
  const at = (n: number) => ({ first: n === 0, last: n === 2 })
  return (
    <Story name="bubbles">
      <Sheet
        active="active"
        rows={[
          ...group.map((text, n): [Row<MessageRow>] => [
            { ...alone(`other-${n}`, text), ...at(n) } as Row<MessageRow>,
          ]),
          ...group.map((text, n): [Row<MessageRow>] => [
            { ...alone(`own-${n}`, text, { mine: true }), ...at(n) } as Row<MessageRow>,
          ]),
          [
            alone("sending", "On its way.", {
              mine: true,
              state: "sending",
              createdAt: new Date(NOW).toISOString(),
            }),
          ],
          [
            alone("waiting", "Waits for the network.", {
              mine: true,
              state: "sending",
              waitingFor: "connection",
            }),
          ],
          [alone("sent", "Sent.", { mine: true }), "sent"],
          [alone("delivered", "Delivered.", { mine: true }), "delivered"],
          [alone("read", "Read.", { mine: true }), "read"],
          [alone("failed", "Refused.", { mine: true, state: "failed" })],
          [alone("edited", "With a correction.", { editedAt: ago(3) })],
          [alone("deleted", "", { deletedAt: ago(3) })],
          [alone("pinned", "Do not lose this.", { pinnedAt: ago(3) })],
          [alone("active", "Under the pointer.")],
          [
            alone("reply", "I will.", {
              mine: true,
              replyTo: { id: "q", seq: 3, senderId: ben.id, excerpt: "Could you bring the plans on Friday?" },
            }),
          ],
          [
            alone("reactions", "We won!", {
              reactions: [
                { emoji: "🎉", count: 12, mine: true, userIds: [asha.id, ben.id] },
                { emoji: "👍", count: 1, mine: false, userIds: [ben.id] },
              ],
            }),
          ],
          [alone("emoji", "🎉🎉")],
          [
            alone("link", "See https://example.com/plans and ask @Asha Menon about `A4`.", {
              mentions: [asha.id],
            }),
          ],
          [alone("code", '```\nconst lamp = isOn ? "amber" : "none"\n```')],
          [alone("right-to-left", "مرحبا، كيف حالك اليوم؟")],
          [alone("long-word", "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen".repeat(3))],
        ]}
      />
    </Story>
  )
}

export function Files() {
  const picture = (name: string, more = {}) =>
    file(name, "image/png", 48_000, { width: 320, height: 200, thumbnailUrl: "/t", ...more })
  return (
    <Story name="files" with={{ uploads: [upload("plan.pdf", "uploading", 1_200_000)] }}>
      <Sheet
        rows={[
          [
            alone("file", "", {
              attachments: [file("plans-of-the-building.pdf", "application/pdf", 2_400_000)],
            }),
          ],
          [alone("picture", "The lamp.", { attachments: [picture("lamp.png")] })],
          [
            alone("pictures", "", {
              mine: true,
              attachments: [picture("a.png"), picture("b.png"), picture("c.png")],
            }),
          ],
          [
            alone("voice", "", {
              attachments: [file("voice-message.ogg", "audio/ogg", 30_000, { duration: 12 })],
            }),
          ],
          [
            alone("sending-file", "", {
              mine: true,
              state: "sending",
              createdAt: new Date(NOW).toISOString(),
              files: [{ uploadId: "u-plan.pdf", name: "plan.pdf", type: "application/pdf", size: 2_400_000 }],
            }),
          ],
        ]}
      />
    </Story>
  )
}

const composer = { id: "c1", name: ben.name, members: [asha, ben], selfId: asha.id, replyName: ben.name }

function Field({ reply = null }: { reply?: MessageRow | null }) {
  return (
    <Composer
      {...composer}
      reply={reply}
      onReplyDone={nothing}
      onEditLast={nothing}
      onReplyLast={nothing}
      onSent={nothing}
      onOut={nothing}
    />
  )
}

export function Composers() {
  return (
    <>
      <Story name="composer">
        <Field />
      </Story>
      <Story name="composer, written" with={{ draft: "A line\nand a second one", typing: [ben.id] }}>
        <TypingStrip id="c1" nameOf={nameOf} />
        <Field />
      </Story>
      <Story
        name="composer, with a reply and files"
        with={{ uploads: [upload("plan.pdf", "uploading", 1_200_000), upload("film.mov", "failed", 0)] }}
      >
        <ThreadActionsContext.Provider value={actions}>
          <Field reply={message("Could you bring the plans?")} />
        </ThreadActionsContext.Provider>
      </Story>
    </>
  )
}
