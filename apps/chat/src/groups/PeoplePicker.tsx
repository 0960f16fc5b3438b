import type { User } from "@lamplight/client"
import { usePresences } from "@lamplight/react"
import { Check, Search, X } from "lucide-react"
import { useMemo, useRef } from "react"
import { useTouch } from "../app/hooks"
import { nameOf } from "../logic/members"
import { useHandles } from "../people/handles"
import { words } from "../strings"
import { Avatar } from "../ui/Avatar"
import { Button } from "../ui/Button"
import { useRoving } from "../ui/roving"
import { RowName } from "../ui/row-parts"
import { State } from "../ui/State"
import type { Picker } from "./usePicker"

/** A search for people, those who are chosen, and a list to choose from. */
export function PeoplePicker({ picker, label }: { picker: Picker; label: string }) {
  const { query, setQuery, chosen, isChosen, found, status, retry, unlistedId, toggle } = picker
  // On touch a keyboard would cover the list.
  const touch = useTouch()
  const field = useRef<HTMLInputElement>(null)
  const list = useRef<HTMLUListElement>(null)
  const shown = useMemo<readonly User[]>(
    () => (unlistedId === null ? found : [...found, { id: unlistedId, name: "", avatarUrl: null }]),
    [found, unlistedId],
  )
  const ids = useMemo(() => shown.map(({ id }) => id), [shown])
  const presences = usePresences(useMemo(() => [...ids].sort(), [ids]))
  const handles = useHandles(useMemo(() => [...shown, ...chosen], [shown, chosen]))
  const roving = useRoving(ids, null)

  return (
    <div className="picker">
      <search className="search picker-search">
        <Search size={16} className="search-icon" aria-hidden="true" />
        <input
          ref={field}
          className="field"
          type="text"
          inputMode="search"
          data-testid="picker-search"
          aria-label={words.people.search}
          placeholder={words.people.search}
          autoComplete="off"
          spellCheck={false}
          dir="auto"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
          onKeyDown={(event) => {
            const first = list.current?.querySelector<HTMLElement>("[data-roving]")
            const isEnter = event.key === "Enter" && !event.nativeEvent.isComposing
            if (isEnter) {
              event.preventDefault()
              if (query.trim() && first) {
                first.click()
                setQuery("")
              }
            } else if (event.key === "ArrowDown" && first) {
              event.preventDefault()
              first.focus()
            } else if (event.key === "Backspace" && !query && chosen.length) {
              toggle(chosen.at(-1) as User)
            }
          }}
        />
      </search>
      {chosen.length > 0 && (
        <ul className="picker-chosen" aria-label={words.groups.chosen(chosen.length)}>
          {chosen.map((user) => (
            <li key={user.id}>
              <button
                type="button"
                className="chip"
                data-testid="chosen"
                aria-label={words.groups.unchoose(
                  words.people.withHandle(nameOf(user), handles.get(user.id)),
                )}
                onClick={() => {
                  toggle(user)
                  if (!touch) field.current?.focus()
                }}
              >
                <span dir="auto">{nameOf(user)}</span>
                {handles.has(user.id) && (
                  <span className="row-handle" dir="auto">
                    {handles.get(user.id)}
                  </span>
                )}
                <X size={14} aria-hidden="true" />
              </button>
            </li>
          ))}
        </ul>
      )}
      <ul ref={list} className="picker-list" aria-label={label} {...roving.handlers}>
        {shown.map((user) => {
          const name = nameOf(user)
          const state = presences[user.id]?.status ?? "unknown"
          const isNew = user.id === unlistedId
          const handle = handles.get(user.id)
          return (
            <li key={user.id} className="person">
              {/* biome-ignore lint/a11y/useSemanticElements: a row with a picture, which a native checkbox cannot be */}
              <button
                type="button"
                role="checkbox"
                className="row row-person"
                data-testid="pick"
                data-user-id={user.id}
                data-roving={user.id}
                aria-checked={isChosen(user.id)}
                tabIndex={roving.tabStop(user.id)}
                onClick={() => toggle(user)}
              >
                <Avatar
                  id={user.id}
                  name={name}
                  avatarUrl={user.avatarUrl}
                  presence={isNew ? undefined : state}
                />
                <span className="row-text">
                  <span className="row-line">
                    {isNew ? (
                      <RowName name={words.groups.addId(name)} />
                    ) : (
                      <RowName name={name} handle={handle} state={state} />
                    )}
                  </span>
                </span>
                <span className="picker-box" aria-hidden="true">
                  {isChosen(user.id) && <Check size={15} strokeWidth={3} />}
                </span>
              </button>
            </li>
          )
        })}
        {shown.length === 0 && status === "loading" && (
          <li className="picker-note" role="status">
            {words.people.loading}
          </li>
        )}
        {shown.length === 0 && status !== "loading" && status !== "error" && (
          <li className="picker-note">
            {query.trim() ? words.people.none(query.trim()) : words.groups.nobody}
          </li>
        )}
        {status === "error" && (
          <li>
            <State
              kind="error"
              title={words.people.failed}
              action={
                <Button look="line" onClick={retry}>
                  {words.list.retry}
                </Button>
              }
            />
          </li>
        )}
      </ul>
    </div>
  )
}
