import { LamplightProvider } from "@lamplight/react"
import { type ReactNode, useState } from "react"
import { type Stillness, stillClient } from "./still"

/** A part of the page in some of its states. `name` is what the test calls it. */
export function Story(props: { name: string; with?: Stillness; children: ReactNode }) {
  const { name, with: state, children } = props
  const [client] = useState(() => stillClient(state))
  return (
    <LamplightProvider client={client}>
      <section className="story" data-story={name} aria-labelledby={`story-${name}`}>
        <h2 className="rows-title" id={`story-${name}`}>
          {name}
        </h2>
        {children}
      </section>
    </LamplightProvider>
  )
}

/** One state, with its name. */
export function Case({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="story-case">
      <div className="story-frame" data-case={name}>
        {children}
      </div>
      <span className="menu-hint">{name}</span>
    </div>
  )
}
