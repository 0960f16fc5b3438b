/** The user's choice for notifications on this device. */
export type NoticeChoice = "off" | "on" | "private"

const PUSH = "lamplight:push"

/** The choice of one user: another one on this device has made none. */
export function pushChoice(userId: string): NoticeChoice {
  try {
    const [choice, ...id] = (localStorage.getItem(PUSH) ?? "").split(" ")
    return id.join(" ") === userId && (choice === "on" || choice === "private") ? choice : "off"
  } catch {
    return "off"
  }
}

/** The user has signed out: the next user has made no choice. */
export function forgetChoice(): void {
  try {
    localStorage.removeItem(PUSH)
  } catch {
    // Without storage there is none.
  }
}

export const hasPush = (userId: string): boolean => pushChoice(userId) !== "off"

export function setPushChoice(userId: string, choice: NoticeChoice): void {
  try {
    if (choice === "off") localStorage.removeItem(PUSH)
    else localStorage.setItem(PUSH, `${choice} ${userId}`)
  } catch {
    // Without storage there is no worker either.
  }
}
