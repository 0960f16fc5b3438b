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

export interface LamplightProviderProps {
  /** Created once, outside of rendering, with `createLamplight`. */
  client: Lamplight
  children?: ReactNode
}

/** Provides the client to all components below, and keeps it connected while mounted. */
export function LamplightProvider({ client, children }: LamplightProviderProps): ReactElement {
  // StrictMode mounts twice: the client delays its release, so that one socket is opened.
  useEffect(() => client.retain(), [client])
  return createElement(LamplightContext.Provider, { value: client }, children)
}

/** The client, for actions such as `login`, `openConversation` and `setStatus`. */
export function useLamplight(): Lamplight {
  const client = useContext(LamplightContext)
  if (!client) throw new Error("useLamplight needs a <LamplightProvider client={...}> above it.")
  return client
}

/** Reads a store and renders again when it changes. */
export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(pacedSubscribe(store), store.get, store.getServer)
}
