import { number } from "../languages/format"

/** The document's title: the other person's name and the number of unread messages. */
export function documentTitle(name: string | null, unread: number): string {
  // The isolate characters are for the page; the tab of a browser may show them as boxes.
  const base = name?.replace(/[\u2066-\u2069]/g, "") || "Lamplight"
  return unread > 0 ? `(${badge(unread)}) ${base}` : base
}

/** The text of an unread badge. */
export function badge(unread: number): string {
  return unread > 999 ? `${number(999)}+` : number(unread)
}
