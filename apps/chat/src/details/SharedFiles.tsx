/** The files that were shared in a conversation. */
export function SharedFiles(_props: { id: string }) {
  return null
}
