import { type ReactNode, useEffect, useMemo, useRef, useState } from "react"
import { useToday } from "../app/hooks"
import { byMonth } from "../logic/months"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { showFailure } from "../ui/failure"
import { useRoving } from "../ui/roving"
import { Skeleton, State } from "../ui/State"
import { FileRows } from "./FileRows"
import { COLUMNS, MediaGrid, useViewer } from "./MediaGrid"
import type { SharedList, SharedPartProps, useSharedFiles } from "./useSharedFiles"

type Tab = "media" | "others"

/** All files of a conversation, by month: pictures and videos apart from the rest. */
export function AllFiles(
  props: Pick<SharedPartProps, "onShow"> & { shared: ReturnType<typeof useSharedFiles> },
) {
  const { shared, onShow } = props
  const { media, others, nameOfSender } = shared
  // Show the loaded files first.
  const [chosen, setChosen] = useState<Tab | null>(null)
  const tab = chosen ?? (media.status === "ready" && !media.files.length ? "others" : "media")
  return (
    <>
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset has a border of its own and no use here */}
      <div className="theme-choices shared-tabs" role="group" aria-label={words.shared.kinds}>
        {(["media", "others"] as const).map((one) => (
          <button
            key={one}
            type="button"
            className="theme-choice"
            data-testid={`shared-tab-${one}`}
            aria-pressed={tab === one}
            onClick={() => setChosen(one)}
          >
            {words.shared.tabs[one]}
          </button>
        ))}
      </div>
      {tab === "media" ? (
        <AllMedia key="media" list={media} nameOfSender={nameOfSender} onShow={onShow} />
      ) : (
        <AllOthers key="others" list={others} nameOfSender={nameOfSender} onShow={onShow} />
      )}
    </>
  )
}

function AllMedia({ list, nameOfSender, onShow }: SharedPartProps & { list: SharedList }) {
  const ids = useMemo(() => list.files.map(({ file }) => file.id), [list.files])
  const roving = useRoving(ids, null, COLUMNS)
  const { viewer, view } = useViewer({
    files: list.files,
    nameOfSender,
    onShow,
    onEarlier: () => list.loadMore().catch(() => {}),
  })
  return (
    <>
      <Months list={list} roving={roving} empty={words.shared.noMedia}>
        {(files) => (
          <MediaGrid files={files} nameOfSender={nameOfSender} tabStop={roving.tabStop} onOpen={view} />
        )}
      </Months>
      {viewer}
    </>
  )
}

function AllOthers({ list, nameOfSender, onShow }: SharedPartProps & { list: SharedList }) {
  const ids = useMemo(() => list.files.map(({ file }) => file.id), [list.files])
  const roving = useRoving(ids, null)
  return (
    <Months list={list} roving={roving} empty={words.shared.noOthers}>
      {(files) => (
        <FileRows files={files} nameOfSender={nameOfSender} tabStop={roving.tabStop} onShow={onShow} />
      )}
    </Months>
  )
}

/** A list in months, whose next page loads before its end is reached. */
function Months(props: {
  list: SharedList
  roving: ReturnType<typeof useRoving>
  empty: string
  children: (files: SharedList["files"]) => ReactNode
}) {
  const { list, roving, empty, children } = props
  const { status, files, hasMore, loadingMore, error, loadMore, reload } = list
  const today = useToday()
  const months = useMemo(() => byMonth(files, today), [files, today])
  const end = useRef<HTMLDivElement>(null)
  const isWaiting = hasMore && !loadingMore && !error
  // Observed anew after each page: an end that stays in sight is not reported again.
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  useEffect(() => {
    const element = end.current
    if (!element || !isWaiting) return
    const root = element.closest(".scroller")
    const watch = new IntersectionObserver(
      ([entry]) => {
        if (entry?.isIntersecting) loadMore().catch(() => {})
      },
      { root, rootMargin: "600px 0px" },
    )
    watch.observe(element)
    return () => watch.disconnect()
  }, [isWaiting, files.length, loadMore])

  if (status === "loading") return <Skeleton rows={5} kind="people" label={words.shared.loading} />
  const again = (
    <Button
      look="line"
      data-testid="shared-retry"
      onClick={() =>
        (status === "error" ? reload() : loadMore()).catch((thrown) =>
          showFailure(words.shared.failed, thrown),
        )
      }
    >
      {words.list.retry}
    </Button>
  )
  if (status === "error") return <State kind="error" title={words.shared.failed} action={again} />
  if (!files.length && !hasMore) return <State kind="empty" title={empty} />
  return (
    <>
      <div {...roving.handlers} data-testid="shared-list">
        {months.map(({ key, title, items }) => (
          <section key={key} className="shared-month" aria-label={title}>
            <h3 className="rows-title">{title}</h3>
            {children(items)}
          </section>
        ))}
      </div>
      <div ref={end} className="shared-end">
        {error ? (
          <div role="alert" className="shared-failed">
            <p>{words.shared.moreFailed}</p>
            {again}
          </div>
        ) : (
          hasMore && <p role="status">{words.shared.loading}</p>
        )}
      </div>
    </>
  )
}
