import { isolate } from "./logic/isolate"
import type { TimeWords } from "./logic/time"

/**
 * All texts of the page. A translation is another object of this shape: plural forms go through `count`, names are arguments, and no
 * other file puts a sentence together.
 */
function count(n: number, one: string, many: string): string {
  return `${n.toLocaleString()} ${n === 1 ? one : many}`
}

/** What waits to be sent: messages, and changes of messages. */
function waiting(messages: number, changes: number): string {
  const parts = [
    ...(messages || !changes ? [count(messages, "message", "messages")] : []),
    ...(changes ? [count(changes, "change", "changes")] : []),
  ]
  return `${parts.join(" and ")} ${messages + changes === 1 ? "waits" : "wait"}`
}

/** The names of several people: all of up to three, or else the first two and how many more. `total` counts those without a name here. */
function names(all: readonly string[], total = all.length): string {
  if (total < 2) return all[0] ?? ""
  const shown = all.slice(0, total > 3 ? 2 : 3).map(isolate)
  const last = total > shown.length ? `${(total - shown.length).toLocaleString()} more` : shown.pop()
  return `${shown.join(", ")} and ${last}`
}

const a = { owner: "an owner", admin: "an admin", member: "a member" } as const

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
  motto: "Online presence and private messaging.",
  time,
  names,

  signIn: {
    title: "Sign in",
    titleNew: "Create an account",
    leadNew: "Choose a user name. It is how others will find you.",
    username: "User name",
    usernameHint: "2 to 32 letters, digits, dots, dashes or underscores.",
    password: "Password",
    passwordHint: "At least 8 characters. A sentence is easy to remember.",
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
    signedOut: "You were signed out. Your unsent messages are kept.",
    closed: "Registration is closed. Ask the administrator of this server for an account.",
  },
  account: {
    open: "Account…",
    title: "Your account",
    close: "Close",
    nameHint: "Shown to others. Your user name does not change.",
    nameSave: "Change name",
    nameDone: "Your name is changed.",
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
    lead: "This server does not check who you are. It is meant for trials and trusted networks.",
    id: "User id",
    idHint: "A number or a word, such as your id in the application.",
    name: "Name",
    nameHint: "Shown to others. You may leave it out.",
    submit: "Continue",
  },
  token: {
    title: "A token is needed",
    lead: "This server belongs to another application. Open the chat from there to sign in.",
    trial:
      "To try it out, make a token with “lamplight token” and paste it here, or put it after #token= in this page's address.",
    field: "Token",
    submit: "Use this token",
    refused: "The server did not accept this token. It may have expired.",
  },
  gone: {
    title: "Lamplight does not answer",
    lead: "The page is loaded, but the server cannot be reached.",
    retry: "Try again",
  },
  refused: {
    title: "You were signed out",
    lead: "The server no longer accepts this session. Sign in again; your unsent messages are kept on this device.",
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
    unknown: "Unknown",
    named: (name: string, state: string) => `${name}, ${state.toLocaleLowerCase()}`,
    activeAgo: (ago: string) => `Away, active ${ago}`,
    saying: (state: string, text: string) => `${state} · ${isolate(text)}`,
    lastSeen: (ago: string) => `Last seen ${ago}`,
    unknownNow: "Presence is unknown right now",
  },

  status: {
    menu: (state: string) => `${state.toLocaleLowerCase()}. Change your status`,
    choose: "Your status",
    notConnected: "Not connected",
    onlineHint: "You are shown as online",
    awayHint: "Back soon",
    busyHint: "Please do not disturb",
    invisibleHint: "You look offline to everyone",
    text: "What are you up to?",
    textSave: "Save",
    textClear: "Clear",
    sound: "Sound for new messages",
    notifications: "Notifications",
    notificationsClosed:
      "Notifications are blocked for this page. Allow them in the browser's site settings.",
    theme: "Theme",
    themeSystem: "System",
    themeLight: "Light",
    themeDark: "Dark",
    signOut: "Sign out",
    switchUser: "Switch user",
  },

  list: {
    empty: "No conversations yet",
    emptyLead: "Choose someone who is online and write to them.",
    emptyAction: "Find someone",
    loading: "Loading your conversations…",
    failed: "Your conversations could not be loaded.",
    retry: "Try again",
    more: "Show older conversations",
    draft: "Draft:",
    unsent: "Not sent:",
    sending: "Sending:",
    you: "You:",
    by: (name: string) => `${name}:`,
    nothing: "No messages yet",
    typing: "is typing…",
    unread: (n: number) => count(n, "unread message", "unread messages"),
  },

  search: {
    field: "Search",
    fieldIn: (name: string) => `Search in ${name}`,
    inside: (name: string) => `In ${isolate(name)}`,
    everywhere: "Search in all conversations",
    here: "Search in this conversation",
    clear: "End the search",
    hint: "Type a word that a message has, or its beginning.",
    conversations: "Conversations",
    messages: "Messages",
    loading: "Searching…",
    found: (n: number, more: boolean) =>
      `${count(n, "message", "messages")} found${more ? ", and there are more" : ""}`,
    none: (query: string) => `No results for “${isolate(query)}”.`,
    noneLead: "Messages must have all words, or words that begin with them.",
    failed: "The messages could not be searched.",
    more: "Show older results",
  },

  emoji: {
    open: "Add an emoji",
    label: "Emoji",
    search: "Search emoji",
    recent: "Used last",
    loading: "Loading emoji…",
    none: "No emoji found.",
    choose: "Choose an emoji",
    toneTitle: "Skin tone",
    tone: (name: string) => `Skin tone: ${name.toLocaleLowerCase()}`,
    tones: {
      none: "Default",
      light: "Light",
      "medium-light": "Medium light",
      medium: "Medium",
      "medium-dark": "Medium dark",
      dark: "Dark",
    },
  },

  people: {
    title: "People",
    count: (n: number) => (n === 0 ? "Only you are online" : count(n, "person online", "people online")),
    countUnknown: "Presence is unknown right now",
    search: "Find a person",
    clear: "Clear the search",
    inNow: "Online now",
    everyone: "Everyone",
    emptyTitle: "Nobody else is online",
    emptyLead: "People appear here as soon as they come online.",
    none: (query: string) => `No results for “${isolate(query)}”.`,
    noneLead: "Check the spelling, or try another part of the name.",
    loading: "Searching…",
    failed: "The directory could not be searched.",
    truncated: (shown: number, total: number) =>
      `The first ${shown.toLocaleString()} of ${total.toLocaleString()}. Search to find anyone.`,
    startFailed: "The conversation could not be opened.",
    more: "Show more",
    writeId: (id: string) => `Write to “${isolate(id)}”`,
  },

  thread: {
    none: "No conversation selected",
    noneLead: "Choose a conversation, or someone who is online.",
    loading: "Loading messages…",
    start: (name: string) => `This is the beginning of your conversation with ${isolate(name)}.`,
    startGroup: (name: string) => `This is the beginning of ${isolate(name)}.`,
    removed: "You are no longer a member",
    removedLead: (name: string) =>
      name
        ? `${isolate(name)} is not in your list any more. A member can add you again.`
        : "This conversation is not in your list any more. A member can add you again.",
    unsent: (n: number) => `${count(n, "message was", "messages were")} not sent`,
    noWriting: "You cannot write in this conversation.",
    tryAgain: "Try again",
    unblock: "Unblock",
    unknownMember: "Former member",
    emptyTitle: (name: string) => `Say hello to ${isolate(name)}`,
    emptyLead: "No messages yet. Only the two of you can read them.",
    emptyLeadMany: "No messages yet. Only the members of this conversation can read them.",
    company: (members: number) => count(members, "member", "members"),
    details: (name: string) => `${name}, details`,
    failed: "The messages could not be loaded.",
    missing: "This conversation cannot be shown",
    missingLead: "It does not exist, or you are not a member.",
    missingAction: "Back to conversations",
    retry: "Try again",
    older: "Loading older messages…",
    olderFailed: "Older messages could not be loaded.",
    more: "Newer messages",
    newerFailed: "Newer messages could not be loaded.",
    unread: "New",
    above: (n: number) => `${n.toLocaleString()} unread`,
    toUnread: (n: number) => `To the first of ${count(n, "unread message", "unread messages")}`,
    markAllRead: "Mark all as read",
    newer: (n: number) => count(n, "new message", "new messages"),
    toEnd: "To the newest message",
    typing: (who: readonly string[]) =>
      who.length === 1 ? `${isolate(who[0] ?? "")} is typing…` : `${names(who)} are typing…`,
    you: "You",
    spoken: (name: string, text: string) => `${name}: ${text}`,
    copyCode: "Copy code",
    copied: "Copied",
  },

  details: {
    region: "Details",
    title: "Details",
    titleGroup: "Group details",
    close: "Close the details",
    loading: "Loading the details…",
    members: (n: number) => count(n, "member", "members"),
    membersTitle: "Members",
    membersFailed: "The members could not be loaded.",
    more: "Show more members",
    you: "You",
    roles: { owner: "Owner", admin: "Admin", member: "Member" },
    make: { owner: "Make owner", admin: "Make admin", member: "Make member" },
    actionsOn: (name: string) => `Actions on ${name}`,
    write: "Write a message",
    roleFailed: "The role was not changed.",
    rename: "Change the name",
    name: "Name of the group",
    add: "Add people",
    remove: "Remove from the group",
    removeTitle: (name: string) => `Remove ${isolate(name)}?`,
    removeLead: "They get no more messages of this group, and everybody in it sees that you removed them.",
    removeConfirm: "Remove",
    membership: "Your membership",
    leave: "Leave the group",
    leaveTitle: (name: string) => `Leave ${isolate(name)}?`,
    leaveLead:
      "The group leaves your list, and you get no more of its messages. Only its members can add you again.",
    leaveLeadOwner:
      "The admin, or else the member, who has been here longest becomes the owner. You get no more messages of this group, and only its members can add you again.",
    leaveLeadAlone: "You are the last member. Nobody will be able to read this group any more.",
    leaveConfirm: "Leave",
    privacy: "Privacy",
    block: (name: string) => `Block ${isolate(name)}`,
    unblock: (name: string) => `Unblock ${isolate(name)}`,
    unblockFailed: "That could not be done.",
    blockTitle: (name: string) => `Block ${isolate(name)}?`,
    blockLead: (name: string) =>
      `Neither of you can write in this conversation, and you look offline to ${isolate(name)}. They are not told. In groups you still see each other.`,
    blockConfirm: "Block",
    blockedNote: (name: string) => `You have blocked ${isolate(name)}.`,
  },

  /** What changes of a group did. `by` is null where the application made them. Names are isolated already where several stand. */
  system: {
    You: "You",
    you: "you",
    created: (by: string) => `${isolate(by)} created the group`,
    added: (by: string | null, whom: string) =>
      by === null ? `Added to the group: ${isolate(whom)}` : `${isolate(by)} added ${isolate(whom)}`,
    removed: (by: string | null, whom: string) =>
      by === null ? `Removed from the group: ${isolate(whom)}` : `${isolate(by)} removed ${isolate(whom)}`,
    left: (by: string) => `${isolate(by)} left the group`,
    made: (by: string, whom: string, role: "owner" | "admin" | "member") =>
      `${isolate(by)} made ${isolate(whom)} ${a[role]}`,
    isNow: (who: string, isSelf: boolean, role: "owner" | "admin" | "member") =>
      `${isolate(who)} ${isSelf ? "are" : "is"} now ${a[role]}`,
    renamed: (by: string | null, name: string | null) =>
      name === null
        ? `${by === null ? "The application" : isolate(by)} removed the name of the group`
        : `${by === null ? "The application" : isolate(by)} named the group “${isolate(name)}”`,
    picture: (by: string | null, has: boolean) =>
      `${by === null ? "The application" : isolate(by)} ${has ? "changed" : "removed"} the picture of the group`,
  },

  groups: {
    open: "New group",
    newTitle: "New group",
    name: "Name",
    namePlaceholder: "Without one, the names of its members",
    people: "People to choose from",
    chosen: (n: number) => `${n.toLocaleString()} chosen`,
    unchoose: (name: string) => `Take ${name} out`,
    addId: (id: string) => `Add “${isolate(id)}”`,
    nobody: "Type the name of somebody.",
    from: (name: string, group: string) => `${isolate(name)} in ${isolate(group)}`,
    history: "Show the whole history to those who join later",
    historyHint: "Otherwise they see what is written from then on.",
    create: (n: number) => (n ? `Create group of ${(n + 1).toLocaleString()}` : "Create group"),
    addTitle: "Add people",
    addLead: "They get the messages from now on, or the whole history if the group was made so.",
    add: (n: number) => (n ? `Add ${count(n, "person", "people")}` : "Add"),
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
    copyFailed: "This page may not use the clipboard.",
    cancel: "Cancel",
    show: "Show",
    notSentTo: (name: string | null) =>
      name ? `Your message to ${isolate(name)} was not sent` : "A message was not sent",
    /** By the kind of the change that was refused. */
    notChanged: {
      edit: "Your edit was not saved",
      delete: "The message was not deleted",
      reaction: "Your reaction was not saved",
      pin: "The pin was not saved",
    },
    deleted: "Message deleted",
    edited: "edited",
    editedAt: (time: string) => `Edited ${time}`,
    reactions: "Reactions",
    quoteOf: (name: string) => `In reply to ${isolate(name)}`,
    quoteGone: "The message cannot be loaded.",
    gone: "That message is not there any more.",
    reaction: (emoji: string, n: number, mine: boolean) =>
      `${emoji}, ${count(n, "reaction", "reactions")}${mine ? ", yours too" : ""}`,
    more: (n: number) => `and ${n.toLocaleString()} more`,
    bar: "Actions on this message",
    menu: "More actions",
    reactWith: (emoji: string) => `React with ${emoji}`,
    otherEmoji: "React with another emoji",
    pin: "Pin",
    unpin: "Unpin",
    pinned: "Pinned",
    pinnedMessages: "Pinned messages",
    pins: (n: number) => count(n, "pinned message", "pinned messages"),
    pinsHint: "Of the messages that are loaded. Scroll up for older ones.",
    copyLink: "Copy link",
    linkCopied: "The link is copied.",
    reply: "Reply",
    replyingTo: (name: string) => `Reply to ${isolate(name)}`,
    cancelReply: "Do not reply",
    editing: "Edit your message",
    save: "Save",
    saveHint: "Enter saves, Escape ends the edit",
    changeFailed: "That could not be done.",
    deleteTitle: "Delete this message?",
    deleteLead: "It is deleted for everyone in this conversation. This cannot be undone.",
    keepIt: "Keep it",
    discard: "Discard",
    /** What an unsent message waits for, by the client's `WaitingFor`. */
    waiting: {
      connection: "Waiting for the connection",
      earlier: "Waiting for the message before it",
      "earlier-failed": "Waiting for the message that was not sent",
      "sign-in": "Waiting until you sign in again",
    },
  },

  composer: {
    mention: "Mention somebody",
    mentions: (n: number) =>
      `${count(n, "person", "people")} to mention. Up and Down choose, Enter takes one.`,
    label: (name: string) => (name ? `Write to ${name}` : "Write a message"),
    placeholder: (name: string) => (name ? `Message ${isolate(name)}` : ""),
    send: "Send",
    left: (n: number) => `${n.toLocaleString()} left`,
    over: (n: number) => `${n.toLocaleString()} too many`,
    overToast: (n: number) => `This is ${count(n, "character", "characters")} longer than a message may be.`,
    refused: (why: string) => `Not sent. ${why}`,
    giveBack: "Your text is back in the message field.",
    keptBeside: "The message field already has another text, so the text that was not sent is kept here.",
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
    waiting: (messages: number, changes: number) => `${waiting(messages, changes)} on this device.`,
    waitingInTab: (messages: number, changes: number) =>
      `${waiting(messages, changes)} in this tab; do not close it.`,
    keepWriting: "You can keep writing.",
  },

  restored: {
    region: "Notice",
    title: "This server was restored from an earlier copy of its data.",
    lead: "Messages that are newer than that copy are lost. Your unsent messages are kept and are sent now.",
    some: (n: number) =>
      `${count(n, "conversation was", "conversations were")} restored from an earlier copy on the server. Messages that are newer than that copy are lost.`,
    dismiss: "Understood",
  },

  errors: {
    notLoaded: "This part of the page could not be loaded.",
    generic: "Something went wrong. Nothing was changed.",
    network: "The server cannot be reached right now.",
    rate_limited: "Too many requests. Wait a moment.",
    unavailable: "The server is busy. The page tries again by itself.",
    unauthenticated: "You are not signed in any more.",
    not_found: "That could not be found.",
    too_long: "That message is too long.",
    empty_message: "There is nothing to send yet.",
    signOut: "Signing out did not reach the server. Close the browser on a shared computer.",
    status: "Your status could not be changed.",
  },
} as const
