// The actions of two users and the faults, by a seed. The same seed and size give the same plan.
import { Random } from "../../../../tests/soak/random.mjs"

/** How much one run has. Numbers of actions are for each of the two people. */
export interface Size {
  sends: number
  edits: number
  deletions: number
  reactions: number
  uploads: number
  /** How often the second person's page is reloaded. */
  reloads: number
  /** How often each goes to the start of the page and comes back. */
  absences: number
  cuts: number
  kills: number
}

export const SHORT: Size = {
  sends: 9,
  edits: 3,
  deletions: 1,
  reactions: 3,
  uploads: 1,
  reloads: 2,
  absences: 1,
  cuts: 4,
  kills: 1,
}

export const FULL: Size = {
  sends: 200,
  edits: 45,
  deletions: 20,
  reactions: 60,
  uploads: 15,
  reloads: 10,
  absences: 5,
  cuts: 20,
  kills: 5,
}

/** A file by its seed, so that a plan can be printed. */
export interface FilePlan {
  name: string
  bytes: number
  seed: number
}

/** `pick`, from 0 to 1, chooses among the messages that are in view by then. */
export type Action =
  | { do: "send"; text: string; isReloadedAtOnce: boolean }
  | { do: "edit"; text: string; pick: number; isLast: boolean }
  | { do: "delete"; pick: number }
  | { do: "react"; pick: number; button: number }
  | { do: "upload"; text: string; files: FilePlan[]; isReady: boolean }
  | { do: "reload" }
  | { do: "leave" }

/**
 * Faults of connections: they are reset, and new ones too; requests arrive and answers do not; no byte passes, and then they are
 * reset; no byte passes, and then all do; the browser reports that there is no network; they are reset once.
 */
export const CUTS = ["refuse", "deaf", "lose", "stall", "offline", "reset"] as const

/** A fault begins right before an action of a person. */
interface Place {
  who: number
  at: number
}

export type Fault =
  | (Place & { do: "cut"; kind: (typeof CUTS)[number]; whose: readonly number[]; ms: number })
  | (Place & { do: "kill"; node: number; ms: number })

/** The actions before which faults begin, in rotation. */
const TARGETS = ["edit", "react", "send", "upload", "delete", "react", "edit"] as const

export interface Plan {
  seed: number
  people: readonly [readonly Action[], readonly Action[]]
  /** In their order. */
  faults: readonly Fault[]
}

const WORDS = "the ferry leaves at ten from old pier bring bread and cheese for lunch we meet again".split(
  " ",
)
/** Texts that a page could handle wrongly. */
const ODD = ["two\nlines", "<b>not bold</b>", "مرحبا", "👍🏽", "a  b", "&amp;", "日本語"]

export function makePlan(seed: number, size: Size): Plan {
  const random = new Random(seed)
  const people = [
    actionsOf("a", size, random.fork()),
    actionsOf("b", size, random.fork(), size.reloads),
  ] as const
  const chaos = random.fork()
  /** Spread over the run, none at its very end. */
  const places = (count: number): Place[] =>
    Array.from({ length: count }, (_, n) => {
      const who = chaos.whole(0, 2)
      const actions = people[who] as Action[]
      const [low, high] = [n, n + 1].map((part) => Math.floor((part / count) * actions.length * 0.97))
      const all = Array.from({ length: (high ?? 0) - (low ?? 0) }, (_, index) => (low ?? 0) + index)
      const some = all.filter((at) => actions[at]?.do === TARGETS[n % TARGETS.length])
      return { who, at: chaos.pick(some.length > 0 ? some : all) }
    })
  const kinds = Array.from({ length: size.cuts }, (_, n) => CUTS[n % CUTS.length] as (typeof CUTS)[number])
  const shuffled = chaos.shuffle(kinds)
  const cuts = places(size.cuts).map((place, n) => ({
    ...place,
    do: "cut" as const,
    kind: shuffled[n] as (typeof CUTS)[number],
    whose: chaos.pick([[place.who], [1 - place.who], [0, 1]]),
    // Now and then longer than the time limit of an acknowledgement, and than that of a connect.
    ms: Math.round(chaos.chance(0.12) ? chaos.between(8_000, 17_000) : chaos.between(1_500, 4_500)),
  }))
  const kills = places(size.kills).map((place) => ({
    ...place,
    do: "kill" as const,
    node: chaos.whole(0, 3),
    ms: Math.round(chaos.between(0, 2_500)),
  }))
  const part = ({ who, at }: Place) => at / (people[who]?.length ?? 1)
  return { seed, people, faults: [...cuts, ...kills].sort((one, other) => part(one) - part(other)) }
}

function actionsOf(who: string, size: Size, random: Random, reloads = 0): Action[] {
  let serial = 0
  const text = () => {
    serial += 1
    const words = Array.from({ length: random.whole(1, 9) }, () => random.pick(WORDS))
    if (random.chance(0.15)) words.push(random.pick(ODD))
    // Its own, and never the beginning of another one.
    return `${who}${serial}. ${words.join(" ")}`
  }
  const many = <T>(count: number, make: () => T) => Array.from({ length: count }, make)
  const file = (): FilePlan => {
    serial += 1
    const ending = random.pick(["zip", "zip", "png"])
    const bytes = random.chance(0.2) ? random.whole(1_000_000, 4_000_000) : random.whole(10, 400_000)
    return { name: `${who}${serial}.${ending}`, bytes, seed: random.whole(1, 2 ** 31) }
  }
  const later: Action[] = [
    ...many(size.edits, () => ({
      do: "edit" as const,
      text: text(),
      pick: random.next(),
      isLast: random.chance(0.3),
    })),
    ...many(size.deletions, () => ({ do: "delete" as const, pick: random.next() })),
    ...many(size.reactions, () => ({
      do: "react" as const,
      pick: random.next(),
      button: random.whole(0, 3),
    })),
    ...many(size.uploads, () => ({
      do: "upload" as const,
      text: random.chance(0.7) ? text() : "",
      files: many(random.whole(1, 4), file),
      isReady: random.chance(0.4),
    })),
    ...many(Math.floor(reloads / 2), () => ({ do: "reload" as const })),
    ...many(size.absences, () => ({ do: "leave" as const })),
  ]
  const actions: Action[] = random.shuffle([
    ...many(size.sends - 1, () => ({ do: "send" as const, text: text(), isReloadedAtOnce: false })),
    ...later,
  ])
  // The other reloads come right after a send, before the page could show it.
  const sends = random.shuffle(actions.filter((action) => action.do === "send"))
  for (const send of sends.slice(0, Math.ceil(reloads / 2))) send.isReloadedAtOnce = true
  // There is something to change from the beginning.
  return [{ do: "send", text: text(), isReloadedAtOnce: false }, ...actions]
}

/** The plan in lines, as a failure prints it. */
export function printed(plan: Plan): string {
  const lines = plan.people.flatMap((actions, n) =>
    actions.map((action, at) => `${"ab"[n]} ${at}: ${JSON.stringify(action)}`),
  )
  return [
    `seed ${plan.seed}`,
    ...plan.faults.map((fault) => `fault ${JSON.stringify(fault)}`),
    ...lines,
  ].join("\n")
}
