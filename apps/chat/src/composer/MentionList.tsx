import { useHandles } from "../people/handles"
import { words } from "../strings"
import { Avatar } from "../ui/Avatar"
import type { useMentions } from "./useMentions"

/** The people who match a mention, above the focused field. */
export function MentionList({ mentions }: { mentions: ReturnType<typeof useMentions> }) {
  const { listId, options, active, choose } = mentions
  const handles = useHandles(options)
  return (
    <>
      <p className="sr-only" role="status">
        {options.length > 0 && words.composer.mentions(options.length)}
      </p>
      {options.length > 0 && (
        <div className="menu mention-list" id={listId} role="listbox" aria-label={words.composer.mention}>
          {options.map((person, at) => (
            <button
              type="button"
              key={person.id}
              id={`${listId}-${at}`}
              className="menu-item mention-option"
              role="option"
              tabIndex={-1}
              data-testid="mention-option"
              aria-selected={at === active}
              // The field keeps the focus, and on a phone its keyboard.
              onPointerDown={(event) => event.preventDefault()}
              onClick={() => choose(person)}
            >
              <Avatar id={person.id} name={person.name} avatarUrl={person.avatarUrl} size="sm" />
              <span className="truncate" dir="auto">
                {person.name}
              </span>
              {handles.has(person.id) && (
                <span className="row-handle" dir="auto">
                  {handles.get(person.id)}
                </span>
              )}
            </button>
          ))}
        </div>
      )}
    </>
  )
}
