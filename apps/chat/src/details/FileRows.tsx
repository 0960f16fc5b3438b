import type { ConversationFile } from "@lamplight/client"
import { useFileUrl } from "@lamplight/react"
import { AudioLines, MessageSquareText, Pause } from "lucide-react"
import { useState } from "react"
import { useToday } from "../app/hooks"
import { FileIcon, FileName } from "../files/FileName"
import { describeFiles, durationText, kindOf, sizeText } from "../files/layout"
import { Player } from "../files/Player"
import { pauseSound } from "../files/sound"
import { listTime, moment } from "../logic/time"
import { words } from "../strings"
import { IconButton } from "../ui/Button"
import type { SharedPartProps } from "./useSharedFiles"

/** Documents and sound, one in a row: a press downloads or plays it. */
export function FileRows(
  props: SharedPartProps & { files: readonly ConversationFile[]; tabStop: (id: string) => 0 | -1 },
) {
  const { files, tabStop, ...rest } = props
  return (
    <ul>
      {files.map((one) => (
        <FileRow key={one.file.id} sent={one} tabIndex={tabStop(one.file.id)} {...rest} />
      ))}
    </ul>
  )
}

function FileRow({
  sent,
  tabIndex,
  nameOfSender,
  onShow,
}: SharedPartProps & { sent: ConversationFile; tabIndex: 0 | -1 }) {
  const { file, senderId, createdAt } = sent
  const isAudio = kindOf(file) === "audio"
  const [isOpen, setOpen] = useState(false)
  const today = useToday()
  const at = new Date(createdAt)
  const href = useFileUrl(file)
  const isVoice = isAudio && describeFiles([file]) === words.files.voice
  const about = [
    isAudio && file.duration !== undefined ? durationText(file.duration) : sizeText(file.size),
    listTime(at, today, words.time),
    nameOfSender(senderId),
  ].join(" · ")
  const content = (
    <>
      {isAudio ? (
        <span className="file-icon">
          {isOpen ? <Pause size={20} aria-hidden="true" /> : <AudioLines size={20} aria-hidden="true" />}
        </span>
      ) : (
        <FileIcon name={file.name} />
      )}
      <span className="file-words">
        {isVoice ? <span className="file-name">{words.files.voice}</span> : <FileName name={file.name} />}
        <span className="file-size" title={moment(at)}>
          {about}
        </span>
      </span>
    </>
  )
  const shared = { className: "file-line", "data-roving": file.id, tabIndex }
  return (
    <li className="shared-row" data-testid="shared-file">
      <div className="shared-row-line">
        {isAudio ? (
          <button
            type="button"
            {...shared}
            data-testid="shared-play"
            aria-expanded={isOpen}
            onClick={() => {
              if (isOpen) pauseSound()
              setOpen(!isOpen)
            }}
          >
            <span className="sr-only">{words.shared.play} </span>
            {content}
          </button>
        ) : (
          <a {...shared} data-testid="shared-download" href={href ?? undefined} download={file.name}>
            <span className="sr-only">{words.files.save} </span>
            {content}
          </a>
        )}
        <IconButton
          label={words.shared.show}
          aria-label={words.shared.showNamed(isVoice ? words.files.voice : file.name)}
          className="shared-show"
          data-testid="shared-show"
          tabIndex={tabIndex}
          onClick={() => onShow(sent)}
        >
          <MessageSquareText size={18} aria-hidden="true" />
        </IconButton>
      </div>
      {isOpen && (
        <Player
          id={file.id}
          address={href}
          name={file.name}
          isVoice={isVoice}
          duration={file.duration}
          autoPlay
          canSave
          testId="shared-audio"
        />
      )}
    </li>
  )
}
