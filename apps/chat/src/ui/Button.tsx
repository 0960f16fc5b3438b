import type { ComponentProps } from "react"

/** `primary` is the one action to take next; at most one is visible. */
export function Button({
  look = "quiet",
  className = "",
  ...rest
}: ComponentProps<"button"> & { look?: "primary" | "line" | "quiet" | "text" }) {
  return <button type="button" {...rest} className={`button button-${look} ${className}`} />
}

/** A square button with an icon. Its label is the accessible name and the tooltip. */
export function IconButton({ label, className = "", ...rest }: ComponentProps<"button"> & { label: string }) {
  return (
    <button type="button" aria-label={label} title={label} {...rest} className={`icon-button ${className}`} />
  )
}
