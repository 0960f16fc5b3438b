/**
 * The address of a picture if it may be shown: a path of this server, https, or data; null: not. Browsers read `/\\host` and a path
 * with a tab in it as another host, so the address is read as they do.
 */
export function safePicture(url: string | null | undefined, page: string = location.href): string | null {
  if (!url) return null
  if (/^data:image\//i.test(url)) return url
  try {
    const { href, origin, protocol } = new URL(url, page)
    const isOwn = origin === new URL(page).origin
    // Without a scheme it is meant as a path of this server.
    if (isOwn || (protocol === "https:" && /^https:/i.test(url))) return href
  } catch {
    // No address at all.
  }
  return null
}

/** The same for pictures of this server alone: another host would learn who views its pictures, and when. */
export function ownPicture(url: string | null | undefined, page: string = location.href): string | null {
  const safe = safePicture(url, page)
  return safe && new URL(safe).origin === new URL(page).origin ? safe : null
}
