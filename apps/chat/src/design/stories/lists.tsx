import { ConversationRow } from "../../conversations/ConversationRow"
import { PersonRow } from "../../people/PersonRow"
import { StatusMenu } from "../../presence/StatusMenu"
import { ThreadActionsContext } from "../../thread/actions"
import { ThreadHead } from "../../thread/ThreadHead"
import { ago, asha, ben, chloe, conversation, NOW, nadia, page, person } from "./data"
import { Story } from "./Story"

const nothing = () => {}
const noActions = { pickDate: nothing } as never

export function Conversations() {
  const of = (name: string, more: object, state: object = {}) => ({
    name,
    item: conversation(more),
    ...state,
  })
  const rows = [
    of("read", {}),
    of("unread", { unread: 3 }),
    of("many unread", { unread: 1_234 }),
    of("chosen", {}, { selected: true }),
    of("muted", { muted: true, unread: 5 }),
    of("draft", { draft: "I think that the windows" }),
    of("failed", { failed: 1 }, { unsent: "The message that was refused" }),
    of("sending", { waiting: 1 }, { unsent: "On its way" }),
    of("group", { kind: "group", other: null, name: "The new building", members: [asha, ben, chloe] }),
    of("right to left", { other: nadia, members: [asha, nadia] }),
    of("with a user name", {}, { handle: "@ben.castellanos" }),
    of("nothing yet", { lastMessage: null }),
  ]
  return (
    <Story name="conversations">
      <div className="rows story-list">
        {rows.map(({ name, item, ...state }) => (
          <ul key={name} data-case={name}>
            <ConversationRow
              item={item}
              presence={item.other ? person(item.other, "online") : undefined}
              unsent=""
              handle={undefined}
              selfId={asha.id}
              selected={false}
              tabIndex={0}
              entry={false}
              today={new Date(NOW)}
              menuOpen={false}
              onOpen={nothing}
              {...state}
            />
          </ul>
        ))}
      </div>
    </Story>
  )
}

export function People() {
  const people = [
    person(ben, "online"),
    person(chloe, "away", { lastActiveAt: ago(12) }),
    person(nadia, "busy", { text: "In a meeting" }),
    person({ ...ben, id: "b2" }, "offline"),
    person({ ...chloe, id: "c2" }, "unknown"),
  ]
  return (
    <Story name="people">
      <div className="rows story-list">
        {people.map((one) => (
          <ul key={one.userId} data-case={one.status}>
            <PersonRow
              person={one}
              handle={undefined}
              now={new Date(NOW)}
              busy={false}
              tabIndex={0}
              onOpen={nothing}
            />
          </ul>
        ))}
      </div>
    </Story>
  )
}

export function Heads() {
  const head = { self: asha, wide: true, rows: [], details: false, onDetails: nothing, onSearch: nothing }
  const group = conversation({
    kind: "group",
    other: null,
    name: "The new building",
    members: [asha, ben, chloe],
  })
  return (
    <Story name="heads" with={{ unread: 1_234 }}>
      <ThreadActionsContext.Provider value={noActions}>
        <ThreadHead {...head} item={conversation()} name={ben.name} onPeople={nothing} />
        <ThreadHead {...head} item={{ ...group, muted: true }} name="The new building" onPeople={nothing} />
      </ThreadActionsContext.Provider>
      <div className="story-list">
        <StatusMenu self={asha} page={page} />
      </div>
    </Story>
  )
}
