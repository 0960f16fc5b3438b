import { isolate } from "../logic/isolate"
import type en from "./en.json"
import { type Arguments, listFormat, number } from "./format"
import { locale } from "./locale"

/**
 * What each message takes, for all languages: here names are isolated (see logic/isolate.ts), and numbers, lists and the like are
 * written in the user's locale, so that a translation is text alone. Every group has an entry, and every message with arguments.
 */

const n = (n: number) => ({ n })
const name = (name: string) => ({ name: isolate(name) })
/** For texts that are only read aloud: there is nothing to reorder. */
const aloud = (name: string) => ({ name })
const maybe = (name: string | null | undefined) => ({ isNamed: !!name, name: isolate(name ?? "") })
const lower = (text: string) => text.toLocaleLowerCase(locale())
const keys = (keys: string) => ({ keys })
/** Whole seconds; 0: it is not known how many. */
const wait = (ms: number | null) => ({ s: Math.ceil((ms ?? 0) / 1_000) })
const percent = (n: number) => number(n / 100, { style: "percent" })

/** Joins what is there as the language does: "Asha, Ben and Cleo". */
export const list = (all: readonly string[], type: Intl.ListFormatType = "conjunction"): string =>
  listFormat(locale(), { type }).format(all)

/** Several people: all of up to three, or else the first two and how many more. `total` counts those without a name here. */
function several(all: readonly string[], total = all.length) {
  if (total < 2) return { who: all[0] ?? "", rest: 0 }
  const shown = all.slice(0, total > 3 ? 2 : 3).map(isolate)
  const rest = total - shown.length
  return { who: list(shown, rest > 0 ? "unit" : "conjunction"), rest }
}

/**
 * The author of a change of a group: the user, another user by name, or the application (null). It determines verbs
 * and cases.
 */
export type Actor = { isSelf: boolean; name: string } | null
type Role = "owner" | "admin" | "member"
const actor = (by: Actor) => ({
  by: by === null ? "app" : by.isSelf ? "self" : "other",
  name: isolate(by?.name ?? ""),
})

const waiting = (messages: number, changes: number) => ({
  what: messages && changes ? "both" : changes ? "changes" : "messages",
  messages,
  changes,
})

export const messageArguments = {
  names: several,
  time: {
    yesterdayAt: (time: string) => ({ time }),
    dayAt: (day: string, time: string) => ({ day, time }),
  },
  language: {},
  signIn: {},
  account: {},
  pictures: { sending: (done: number) => ({ isSent: done >= 100, percent: percent(done) }) },
  open: {},
  token: { givenTitle: maybe },
  gone: {},
  offline: { saved: (when: string) => ({ when }) },
  refused: {},
  firstRun: {},
  regions: { log: aloud },
  presence: {
    named: (name: string, state: string) => ({ name, state: lower(state) }),
    activeAgo: (ago: string) => ({ ago }),
    saying: (state: string, text: string) => ({ state, text: isolate(text) }),
    lastSeen: (ago: string) => ({ ago }),
  },
  status: { menu: (state: string) => ({ state: lower(state) }) },
  list: {
    by: aloud,
    unread: n,
    /** The count as a badge shows it, such as "999+". */
    unreadAbove: (shown: string) => ({ shown }),
  },
  settings: {
    menu: aloud,
    label: aloud,
    muteHours: n,
    mutedUntil: (time: string) => ({ time }),
  },
  palette: {
    found: n,
    none: (query: string) => ({ query: isolate(query) }),
    searchAll: (query: string) => ({ query: isolate(query) }),
    setStatus: (state: string) => ({ state }),
    themes: {},
    also: {},
  },
  shortcuts: { groups: {}, names: {} },
  preferences: {
    themes: {},
    enterKeys: {},
    enterHints: { newline: keys },
    unmuteNamed: aloud,
  },
  search: {
    fieldIn: aloud,
    inside: name,
    found: (n: number, more: boolean) => ({ n, more }),
    none: (query: string) => ({ query: isolate(query) }),
  },
  emoji: { groups: {}, tone: (name: string) => ({ name: lower(name) }), tones: {} },
  people: {
    count: n,
    none: (query: string) => ({ query: isolate(query) }),
    truncated: (shown: number, total: number) => ({ shown, total }),
    withHandle: (name: string, handle: string | undefined) => ({
      hasHandle: !!handle,
      name,
      handle: handle ?? "",
    }),
    writeId: (id: string) => ({ id: isolate(id) }),
  },
  thread: {
    start: name,
    startGroup: name,
    removedLead: maybe,
    unsent: n,
    emptyTitle: name,
    company: (members: number) => ({ members }),
    details: aloud,
    above: n,
    toUnread: n,
    newer: n,
    toDateFrom: (day: string) => ({ day }),
    typing: (who: readonly string[]) => ({
      ...several(who.length === 1 ? who.map(isolate) : who),
      n: who.length,
    }),
    spoken: (name: string, text: string) => ({ name, text }),
  },
  details: {
    members: n,
    roles: {},
    make: {},
    actionsOn: aloud,
    removeTitle: name,
    leaveTitle: name,
    block: name,
    unblock: name,
    blockTitle: name,
    blockLead: name,
    blockedNote: name,
  },
  shared: {
    tabs: {},
    open: (isVideo: boolean, about: readonly string[], at: string) => ({
      isVideo,
      about: list(about.filter(Boolean).map(isolate), "unit"),
      at,
    }),
    showNamed: name,
  },
  system: {
    created: actor,
    added: (by: Actor, whom: string) => ({ ...actor(by), whom: isolate(whom) }),
    removed: (by: Actor, whom: string) => ({ ...actor(by), whom: isolate(whom) }),
    left: actor,
    made: (by: Actor, whom: string, role: Role) => ({ ...actor(by), whom: isolate(whom), role }),
    isNow: (who: Actor, role: Role) => ({ ...actor(who), role }),
    renamed: (by: Actor, group: string | null) => ({
      ...actor(by),
      isNamed: group !== null,
      group: isolate(group ?? ""),
    }),
    picture: (by: Actor, has: boolean) => ({ ...actor(by), has }),
  },
  groups: {
    chosen: n,
    unchoose: aloud,
    addId: (id: string) => ({ id: isolate(id) }),
    from: (name: string, group: string) => ({ name: isolate(name), group: isolate(group) }),
    /** Of the others: the group has the user too. */
    create: (others: number) => ({ n: others + 1 }),
    add: n,
  },
  message: {
    sentTo: maybe,
    notSentTo: maybe,
    notChanged: {},
    waiting: {},
    editedAt: (time: string) => ({ time }),
    saveHintBreak: keys,
    quoteOf: name,
    reaction: (emoji: string, n: number, mine: boolean) => ({ emoji, n, mine }),
    more: n,
    reactWith: (emoji: string) => ({ emoji }),
    pins: n,
    replyingTo: name,
  },
  files: {
    drop: name,
    tooMany: n,
    notAttached: name,
    open: name,
    states: {},
    percent: (n: number) => ({ percent: percent(n) }),
    uploading: name,
    pause: name,
    resume: name,
    again: name,
    remove: name,
    sharing: (who: string, name: string, done: number | null) => ({
      who: isolate(who),
      name: isolate(name),
      isKnown: done !== null,
      percent: percent(done ?? 0),
    }),
    shared: (who: string, name: string) => ({ who: isolate(who), name: isolate(name) }),
    notShared: (who: string, name: string) => ({ who: isolate(who), name: isolate(name) }),
    pictures: n,
    many: n,
    by: (who: string, at: string) => ({ who: isolate(who), at }),
    place: (n: number, all: number) => ({ n, all }),
    play: name,
    position: aloud,
    timeOf: (time: string, total: string) => ({ time, total }),
    speed: (rate: number) => ({ rate: `${number(rate)}×` }),
  },
  composer: {
    mentions: n,
    label: (name: string) => ({ isNamed: name !== "", name }),
    placeholder: maybe,
    breakHint: keys,
    left: n,
    over: n,
    overToast: n,
    refused: (why: string) => ({ why }),
  },
  banner: { retryIn: (s: number) => ({ s }), waiting, waitingInTab: waiting },
  update: {},
  notices: { note: {}, why: {} },
  restored: { some: n },
  errors: { rate_limited: wait, account: { rate_limited: wait }, group: {}, file: {} },
} as const satisfies Arguments<typeof en>
