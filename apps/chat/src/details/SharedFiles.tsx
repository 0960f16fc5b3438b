import { ChevronRight } from "lucide-react"
import { useMemo } from "react"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { showFailure } from "../ui/failure"
import { useRoving } from "../ui/roving"
import { FileRows } from "./FileRows"
import { COLUMNS, MediaGrid, useViewer } from "./MediaGrid"
import type { SharedPartProps, useSharedFiles } from "./useSharedFiles"

/** Two rows. */
const MOST_MEDIA = 2 * COLUMNS
const MOST_FILES = 3

/** The newest files of the conversation, and the button to list all. */
export function SharedFiles(
  props: Pick<SharedPartProps, "onShow"> & { shared: ReturnType<typeof useSharedFiles>; onAll: () => void },
) {
  const { shared, onShow, onAll } = props
  const { media, others, nameOfSender } = shared
  const newest = useMemo(() => media.files.slice(0, MOST_MEDIA), [media.files])
  const files = useMemo(() => others.files.slice(0, MOST_FILES), [others.files])
  const mediaKeys = useRoving(
    newest.map(({ file }) => file.id),
    null,
    COLUMNS,
  )
  const fileKeys = useRoving(
    files.map(({ file }) => file.id),
    null,
  )
  const { viewer, view } = useViewer({ files: media.files, nameOfSender, onShow })
  const lists = [media, others]
  const failed = lists.find(({ status }) => status === "error")
  const isLoading = lists.some(({ status }) => status === "loading")
  const isEmpty = !isLoading && !failed && !newest.length && !files.length

  function retry() {
    for (const { status, reload } of lists)
      if (status === "error") reload().catch((thrown) => showFailure(words.shared.failed, thrown))
  }

  return (
    <section className="details-section" aria-label={words.shared.title} data-testid="shared">
      <h3 className="rows-title">{words.shared.title}</h3>
      {isLoading && (
        <div className="media-grid media-skeleton" role="status">
          <span className="sr-only">{words.shared.loading}</span>
          {Array.from({ length: 3 }, (_, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the tiles are alike and never move
            <span key={i} className="media-tile" aria-hidden="true" />
          ))}
        </div>
      )}
      {failed && (
        <div role="alert" className="shared-failed">
          <p>{words.shared.failed}</p>
          <Button look="line" data-testid="shared-retry" onClick={retry}>
            {words.list.retry}
          </Button>
        </div>
      )}
      {isEmpty && (
        <p className="details-note" data-testid="shared-empty">
          {words.shared.empty}
        </p>
      )}
      {newest.length > 0 && (
        <div {...mediaKeys.handlers}>
          <MediaGrid files={newest} nameOfSender={nameOfSender} tabStop={mediaKeys.tabStop} onOpen={view} />
        </div>
      )}
      {files.length > 0 && (
        <div {...fileKeys.handlers}>
          <FileRows files={files} nameOfSender={nameOfSender} tabStop={fileKeys.tabStop} onShow={onShow} />
        </div>
      )}
      {(newest.length > 0 || files.length > 0) && (
        <button type="button" className="details-action" data-testid="shared-all" onClick={onAll}>
          <span className="flex-1">{words.shared.all}</span>
          <ChevronRight size={18} aria-hidden="true" />
        </button>
      )}
      {viewer}
    </section>
  )
}
