import type { ComponentProps } from "react"

/** The page's buttons. `lamp` is the one thing to do next; there is at most one in view. */
export function Button({
  look = "quiet",
  className = "",
  ...rest
}: ComponentProps<"button"> & { look?: "primary" | "line" | "quiet" | "text" }) {
  return <button type="button" {...rest} className={`button button-${look} ${className}`} />
}

/** A square button that shows an icon; its name is for those who cannot see it and for the tooltip. */
export function IconButton({ label, className = "", ...rest }: ComponentProps<"button"> & { label: string }) {
  return (
    <button type="button" aria-label={label} title={label} {...rest} className={`icon-button ${className}`} />
  )
}
