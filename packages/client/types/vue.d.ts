/** What `src/vue.ts` uses of Vue, an optional peer: the package is checked and built without it. */
declare module "vue" {
  export interface ShallowRef<T> {
    value: T
  }
  export function shallowRef<T>(value: T): ShallowRef<T>
  export function watch<T>(
    source: () => T,
    run: (value: T, last: T | undefined, onCleanup: (end: () => void) => void) => void,
    options: { immediate: true; flush: "sync" },
  ): () => void
}
