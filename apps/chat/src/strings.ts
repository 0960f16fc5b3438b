import { isolate } from "./logic/isolate"
import type { TimeWords } from "./logic/time"

/**
 * Everything the page says, in one place. A translation is another object of this shape. Plural forms go through
 * `count`, names come in as arguments, and no sentence is glued together from parts elsewhere.
 */
function count(n: number, one: string, many: string): string {
  return `${n.toLocaleString()} ${n === 1 ? one : many}`
}

/** Several people in a few words: all of them if they are three at most, else the first two and how many more. */
function names(all: readonly string[]): string {
  if (all.length < 2) return all[0] ?? ""
  const shown = all.slice(0, all.length > 3 ? 2 : 3).map(isolate)
  const last = all.length > shown.length ? `${(all.length - 2).toLocaleString()} more` : shown.pop()
  return `${shown.join(", ")} and ${last}`
}

const time: TimeWords = {
  today: "Today",
  yesterday: "Yesterday",
  yesterdayAt: (at) => `yesterday at ${at}`,
  justNow: "just now",
  minutesAgo: (n) => `${n} min ago`,
  hoursAgo: (n) => `${n} h ago`,
  dayAt: (day, at) => `${day} at ${at}`,
}

export const words = {
  product: "Lamplight",
  motto: "Who is in, and a private word with them.",
  time,
  names,

  signIn: {
    title: "Sign in",
    titleNew: "Create an account",
    leadNew: "Choose a user name. It is how others will find you.",
    username: "User name",
    usernameHint: "2 to 32 letters, digits, dots, dashes or underscores.",
    password: "Password",
    passwordHint: "At least 8 characters. A sentence is easy to keep in mind.",
    name: "Your name",
    nameHint: "Shown to others. You may leave it out.",
    show: "Show",
    hide: "Hide",
    submit: "Sign in",
    submitNew: "Create account",
    busy: "One moment…",
    toNew: "New here? Create an account",
    toOld: "Have an account? Sign in",
    required: "Fill in this field.",
    passwordShort: "Use at least 8 characters.",
    signedOut: "You were signed out. What you had not sent is kept.",
    closed: "Accounts are given out by whoever runs this server.",
  },
  account: {
    open: "Account…",
    title: "Your account",
    close: "Close",
    nameHint: "Shown to others. The name you sign in with stays.",
    nameSave: "Change name",
    nameDone: "Others see your new name now.",
    passwordTitle: "Password",
    passwordLead: "A new password signs out your other devices.",
    current: "Current password",
    next: "New password",
    passwordSave: "Change password",
    passwordDone: "Your password is changed. Your other devices are signed out.",
    everywhereTitle: "Devices",
    everywhereLead: "Ends every session of this account, on this device too.",
    everywhere: "Sign out everywhere",
  },
  open: {
    title: "Who are you?",
    lead: "This server is open: it believes whoever you say you are. That is meant for trials and trusted networks.",
    id: "User id",
    idHint: "A number or a word; your application's own id will do.",
    name: "Name",
    nameHint: "Shown to others. You may leave it out.",
    submit: "Come in",
  },
  token: {
    title: "A token is needed",
    lead: "This server admits people by a token of the application it belongs to. Open the chat from there.",
    trial:
      "To try it out, make a token with “lamplight token” and paste it here, or put it after #token= in this page's address.",
    field: "Token",
    submit: "Use this token",
    refused: "The server did not accept this token. It may have expired.",
  },
  gone: {
    title: "Lamplight does not answer",
    lead: "The page is here, but the server behind it cannot be reached.",
    retry: "Try again",
  },
  refused: {
    title: "You were signed out",
    lead: "The server no longer accepts this session. Sign in again; what you had not sent is kept on this device.",
    action: "Sign in again",
  },

  regions: {
    conversations: "Conversations",
    thread: "Conversation",
    people: "People",
    log: (name: string) => `Messages with ${name}`,
    skip: "Go to the message field",
    openPeople: "Show people",
    closePeople: "Hide people",
    back: "Back to conversations",
    tabs: "Main",
    messagesTab: "Messages",
    peopleTab: "People",
    youTab: "You",
  },

  presence: {
    online: "Online",
    away: "Away",
    busy: "Busy",
    offline: "Offline",
    invisible: "Invisible",
    unknown: "Not known",
    named: (name: string, state: string) => `${name}, ${state.toLocaleLowerCase()}`,
    activeAgo: (ago: string) => `Away, active ${ago}`,
    saying: (state: string, text: string) => `${state} · ${isolate(text)}`,
    lastSeen: (ago: string) => `Last seen ${ago}`,
    unknownNow: "Presence not known right now",
  },

  status: {
    menu: (state: string) => `${state.toLocaleLowerCase()}. Change your status`,
    choose: "Your status",
    notConnected: "Not connected",
    onlineHint: "The lamp is lit",
    awayHint: "Back soon",
    busyHint: "Please do not disturb",
    invisibleHint: "You look offline to everyone",
    text: "What are you up to?",
    textSave: "Save",
    textClear: "Clear",
    sound: "Sound for new messages",
    notifications: "Notifications",
    notificationsClosed: "This browser does not let the page notify you. Its site settings can change that.",
    theme: "Theme",
    themeSystem: "System",
    themeLight: "Light",
    themeDark: "Dark",
    signOut: "Sign out",
    switchUser: "Be someone else",
  },

  list: {
    empty: "No conversations yet",
    emptyLead: "Pick someone who is in and say hello. It stays between the two of you.",
    emptyAction: "Find someone",
    loading: "Looking up your conversations…",
    failed: "Your conversations could not be fetched.",
    retry: "Try again",
    more: "Show older conversations",
    draft: "Draft:",
    unsent: "Not sent:",
    sending: "Sending:",
    you: "You:",
    by: (name: string) => `${name}:`,
    nothing: "No messages yet",
    typing: "is writing…",
    unread: (n: number) => count(n, "unread message", "unread messages"),
  },

  people: {
    title: "Who’s in",
    count: (n: number) => (n === 0 ? "No one else right now" : count(n, "person is in", "people are in")),
    countUnknown: "Presence is not known right now",
    search: "Find a person",
    clear: "Clear the search",
    inNow: "In now",
    everyone: "Everyone",
    emptyTitle: "Nobody else is in",
    emptyLead: "Leave the lamp on. You will see people here the moment they arrive.",
    none: (query: string) => `Nobody is called “${isolate(query)}”.`,
    noneLead: "Check the spelling, or try another part of the name.",
    loading: "Looking…",
    failed: "The directory could not be searched.",
    truncated: (shown: number, total: number) =>
      `The first ${shown.toLocaleString()} of ${total.toLocaleString()}. Search to find anyone.`,
    startFailed: "The conversation could not be opened.",
    more: "Show more",
    writeId: (id: string) => `Write to “${isolate(id)}”`,
  },

  thread: {
    none: "A quiet room",
    noneLead: "Choose a conversation, or someone who is in, to pick up where you left off.",
    loading: "Fetching the messages…",
    start: (name: string) => `This is the beginning of your conversation with ${isolate(name)}.`,
    emptyTitle: (name: string) => `Say hello to ${isolate(name)}`,
    emptyLead: "Nothing has been written here yet. Only the two of you will read it.",
    emptyLeadMany: "Nothing has been written here yet. Only those who are in this conversation will read it.",
    company: (others: number) => `You and ${count(others, "other", "others")}`,
    failed: "The messages could not be fetched.",
    missing: "This conversation cannot be shown",
    missingLead: "It does not exist, or it is not yours to read.",
    missingAction: "Back to conversations",
    retry: "Try again",
    older: "Fetching older messages…",
    olderFailed: "Older messages could not be fetched.",
    more: "Newer messages",
    newerFailed: "Newer messages could not be fetched.",
    unread: "New",
    above: (n: number) => `${n.toLocaleString()} unread`,
    toUnread: (n: number) => `To the first of ${count(n, "unread message", "unread messages")}`,
    letBe: "Mark all as read",
    newer: (n: number) => count(n, "new message", "new messages"),
    toEnd: "To the newest message",
    typing: (who: readonly string[]) =>
      who.length === 1 ? `${isolate(who[0] ?? "")} is writing…` : `${names(who)} are writing…`,
    you: "You",
    spoken: (name: string, text: string) => `${name}: ${text}`,
    copyCode: "Copy code",
    copied: "Copied",
  },

  message: {
    sending: "Sending",
    sent: "Sent",
    delivered: "Delivered",
    read: "Read",
    failed: "Not sent",
    retry: "Retry",
    edit: "Edit",
    copy: "Copy",
    remove: "Delete",
    actions: "This message was not sent",
    removed: "The message was deleted.",
    copied: "Copied to the clipboard.",
    copyFailed: "The clipboard is closed to this page.",
    cancel: "Cancel",
    show: "Show",
    notSentTo: (name: string | null) =>
      name ? `Your message to ${isolate(name)} was not sent` : "A message was not sent",
    /** What an unsent message waits for, in the client's own terms. */
    waiting: {
      connection: "Waits for the connection",
      earlier: "Waits for the message before it",
      "earlier-failed": "Waits for the message that was not sent",
      "sign-in": "Waits until you sign in again",
    },
  },

  composer: {
    label: (name: string) => (name ? `Write to ${name}` : "Write a message"),
    placeholder: (name: string) => (name ? `A word with ${isolate(name)}…` : ""),
    send: "Send",
    left: (n: number) => `${n.toLocaleString()} left`,
    over: (n: number) => `${n.toLocaleString()} too many`,
    overToast: (n: number) => `This is ${count(n, "character", "characters")} longer than a message may be.`,
    refused: (why: string) => `Not sent. ${why}`,
    giveBack: "Your text is back in the message field.",
    keptBeside: "You were already writing something else, so the refused text is kept here.",
    restore: "Put it back",
    touchHint: "Enter starts a new line",
    keyHint: "Enter sends, Shift + Enter starts a new line",
  },

  banner: {
    region: "Connection",
    connecting: "Connecting…",
    overHttp: "Live updates are paused. Messages still go through.",
    offline: "You are offline.",
    lost: "The connection is lost.",
    retryIn: (s: number) => `Next try in ${s} s.`,
    trying: "Trying now…",
    tryNow: "Try now",
    waiting: (n: number) => `${count(n, "message waits", "messages wait")} on this device.`,
    waitingInTab: (n: number) =>
      `${count(n, "message waits", "messages wait")} in this tab; do not close it.`,
    keepWriting: "You can keep writing.",
  },

  restored: {
    region: "Notice",
    title: "This server went back to an earlier copy of its data.",
    lead: "Messages that are newer than that copy are gone. What you had not sent yet is kept and goes out now.",
    some: (n: number) =>
      `${count(n, "conversation", "conversations")} went back to an earlier copy on the server. Messages that are newer than that copy are gone.`,
    dismiss: "Understood",
  },

  errors: {
    generic: "Something went wrong. Nothing was changed.",
    network: "The server cannot be reached right now.",
    rate_limited: "That was a lot at once. Wait a moment.",
    unavailable: "The server is busy. It will be tried again.",
    unauthenticated: "You are not signed in any more.",
    not_found: "That could not be found.",
    too_long: "That message is too long.",
    empty_message: "There is nothing to send yet.",
    signOut: "Signing out did not reach the server. Close the browser on a shared computer.",
    status: "Your status could not be changed.",
  },
} as const
