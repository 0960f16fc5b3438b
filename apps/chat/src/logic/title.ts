/** The document's title: who it is about, and how much waits unread. */
export function documentTitle(name: string | null, unread: number): string {
  // The marks that keep each name's direction to itself are for the page; a tab may draw them as boxes.
  const base = name?.replace(/[\u2066-\u2069]/g, "") || "Lamplight"
  return unread > 0 ? `(${unread > 999 ? "999+" : unread}) ${base}` : base
}

/** How a number of unread messages is written in a badge. */
export function badge(unread: number): string {
  return unread > 999 ? "999+" : String(unread)
}
