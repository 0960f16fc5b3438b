/** `@lamplight/client/vue`: stores as refs. */
import { type ShallowRef, shallowRef, watch } from "vue"
import type { Store } from "./types.js"

/**
 * A store's state as a ref, until the component or scope ends: `const connection =
 * useStore(lamplight.connection)`. A function is tracked: `useStore(() =>
 * lamplight.conversation(props.id).messages)`.
 */
export function useStore<T>(store: Store<T> | (() => Store<T>)): Readonly<ShallowRef<T>> {
  const current = typeof store === "function" ? store : () => store
  const state = shallowRef(current().get())
  watch(
    current,
    (one, _last, onCleanup) => {
      const read = () => {
        state.value = one.get()
      }
      onCleanup(one.subscribe(read))
      read()
    },
    { immediate: true, flush: "sync" },
  )
  return state
}
