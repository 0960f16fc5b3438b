import { enterKey, useChoice } from "../app/choices"
import { words } from "../strings"
import { type FocusReturn, Modal } from "../ui/Modal"
import { Keys } from "./Keys"
import { sendKeys } from "./keyboard"
import { ids, type ShortcutId, shortcuts } from "./registry"

const groups = ["everywhere", "conversations", "writing"] as const

/** All shortcuts with their keys. */
export function ShortcutSheet({ focus, onClose }: { focus: FocusReturn; onClose: () => void }) {
  useChoice(enterKey)
  const { send, newLine } = sendKeys()
  const text = words.shortcuts
  return (
    <Modal title={text.title} testId="shortcut-sheet" focus={focus} wide onClose={onClose}>
      <div className="sheet">
        {groups.map((group) => (
          <section key={group} className="sheet-group" aria-label={text.groups[group]}>
            <h3 className="sheet-title">{text.groups[group]}</h3>
            <dl className="sheet-list">
              {group === "writing" && (
                <>
                  <Line name={text.send} all={[send]} />
                  <Line name={text.newLine} all={[newLine]} />
                </>
              )}
              {ids
                .filter((id) => shortcuts[id].group === group)
                .map((id) => (
                  <Line key={id} id={id} name={text.names[id]} all={shortcuts[id].keys} />
                ))}
            </dl>
          </section>
        ))}
      </div>
    </Modal>
  )
}

function Line({ id, name, all }: { id?: ShortcutId; name: string; all: readonly string[] }) {
  return (
    <div className="sheet-line" data-shortcut={id}>
      <dt>{name}</dt>
      <dd>
        {all.map((keys, at) => (
          <span key={keys}>
            {at > 0 && <span className="sheet-or"> {words.shortcuts.or} </span>}
            <Keys keys={keys} />
          </span>
        ))}
      </dd>
    </div>
  )
}
