import type { Lamplight, Store } from "@lamplight/client"
import {
  createContext,
  createElement,
  type ReactElement,
  type ReactNode,
  useContext,
  useEffect,
  useSyncExternalStore,
} from "react"
import { pacedSubscribe } from "./pace.js"

const LamplightContext = createContext<Lamplight | null>(null)

/** What the provider takes. */
export interface LamplightProviderProps {
  /** Made once, outside of rendering, by `createLamplight`. */
  client: Lamplight
  children?: ReactNode
}

/** Gives the client to everything below it, and keeps it connected while mounted. */
export function LamplightProvider({ client, children }: LamplightProviderProps): ReactElement {
  // StrictMode mounts, unmounts and mounts again: the client delays the release, so that one socket is opened.
  useEffect(() => client.retain(), [client])
  return createElement(LamplightContext.Provider, { value: client }, children)
}

/** The client, for what is done rather than shown: `login`, `openConversation`, `setStatus`. */
export function useLamplight(): Lamplight {
  const client = useContext(LamplightContext)
  if (!client) throw new Error("useLamplight needs a <LamplightProvider client={...}> above it.")
  return client
}

/** Reads a store and renders again when it changes. */
export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(pacedSubscribe(store), store.get, store.getServer)
}
