import { words } from "../strings"
import type { Notice } from "../worker/messages"
import { postToWorker } from "./worker"

/**
 * Shows a notification of a message that arrived in an open page. A service worker shows it like a push: one for
 * each conversation, each message once, whichever way it came. `onPress` is for browsers without one.
 */
export function showNotice(notice: Notice, onPress: () => void): void {
  if (postToWorker({ type: "notify", notice })) return
  const { conversationId, conversationName, senderName, text, attachment } = notice
  const title = conversationName
    ? senderName
      ? words.groups.from(senderName, conversationName)
      : conversationName
    : senderName
  const options = {
    body: text || attachment?.name || "",
    // The next notification of the same conversation replaces this one.
    tag: conversationId,
  }
  try {
    const notification = new Notification(title || words.product, options)
    notification.onclick = () => {
      focus()
      onPress()
      notification.close()
    }
  } catch {
    // Chrome for Android permits notifications of pages, and then refuses each: only a service worker shows them there.
  }
}
