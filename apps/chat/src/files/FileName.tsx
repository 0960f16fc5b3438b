import { FileArchive, FileText, File as PlainFile } from "lucide-react"

/** The end of a file name shows its type: only the part before it is cut. */
export function FileName({ name }: { name: string }) {
  const at = name.lastIndexOf(".")
  const cut = at > 0 && name.length - at <= 8 ? Math.max(0, at - 3) : name.length
  return (
    <span className="file-name" dir="auto" title={name}>
      <span>{name.slice(0, cut)}</span>
      {name.slice(cut)}
    </span>
  )
}

export function FileIcon({ name }: { name: string }) {
  const ending = name.slice(name.lastIndexOf(".") + 1).toLowerCase()
  const Icon = /^(zip|gz|xz|7z|rar|tar)$/.test(ending)
    ? FileArchive
    : /^(pdf|txt|md|docx?|odt|rtf|csv|xlsx?)$/.test(ending)
      ? FileText
      : PlainFile
  return (
    <span className="file-icon">
      <Icon size={20} aria-hidden="true" />
    </span>
  )
}
