/**
 * Two people on three tabs send, edit, delete, react, pin and reply while connections, requests and events are lost: in the end every
 * tab and a fresh reader show what the server folds.
 */
import { expect, test } from "vitest"
import type { MessageRow } from "../src/types.js"
import { Browser, makeTab, makeWorld, type Tab, type World } from "./support/harness.js"
import { numbers } from "./support/numbers.js"
import { foldAll } from "./support/writes.js"

const shown = ({ message, writes, ...row }: MessageRow) => ({
  id: message?.id,
  content: row.content,
  editedAt: row.editedAt,
  deletedAt: row.deletedAt,
  pinnedAt: row.pinnedAt,
  replyTo: row.replyTo,
  mentions: row.mentions,
  // A page does not tell the order of the emoji in full.
  reactions: [...row.reactions].sort((one, other) => (one.emoji < other.emoji ? -1 : 1)),
  writes: writes.length,
})

function start(world: World, userId: string, browser: Browser) {
  const tab = makeTab(world, { userId }, browser)
  tab.client.retain()
  tab.client.conversation("7").open()
  return { ...tab, userId }
}

async function settle(world: World, { client, wires }: Tab) {
  wires.socketDown = wires.httpDown = false
  for (const lost of [wires.loseAck, wires.loseAnswer, wires.loseEvent, wires.swallow]) lost.clear()
  await world.clock.advance(1)
  client.connect()
}

/** Shows the whole log. */
async function all({ client }: Pick<Tab, "client">) {
  const seven = client.conversation("7")
  await seven.jumpToNewest()
  while (seven.messages.get().hasOlder) await seven.loadOlder()
  return seven.messages.get().rows.map(shown)
}

const SEEDS = Number(process.env.SEEDS ?? 20)

test.each(Array.from({ length: SEEDS }, (_, at) => at + 1))("seed %i", async (seed) => {
  const world = makeWorld()
  const { server, clock } = world
  const stored = server.addConversation("7", "me", "asha")
  for (let at = 1; at <= 120; at++) server.store("7", at % 2 ? "asha" : "me", `text ${at}`)
  const next = numbers(seed)
  const below = (limit: number) => Math.floor(next() * limit)
  const mine = new Browser()
  const tabs = [start(world, "me", mine), start(world, "me", mine), start(world, "asha", new Browser())]
  await clock.advance(1_000)
  for (let step = 0; step < 120; step++) {
    const tab = tabs[below(tabs.length)] as (typeof tabs)[number]
    const seven = tab.client.conversation("7")
    const { rows } = seven.messages.get()
    const row = rows[rows.length - 1 - below(Math.min(rows.length, 8))]
    const own = rows.filter((one) => one.mine).at(-1 - below(3))
    const idOf = (one: MessageRow | undefined) => one?.message?.id ?? one?.clientMessageId ?? ""
    const emoji = ["👍", "🎉", "❤️"][below(3)] as string
    const event = ["send_private_message", "edit_message", "react", "delete_message", "pin_message"][
      below(5)
    ] as string
    const acts: (() => unknown)[] = [
      () => seven.send(`${tab.userId} ${step}`),
      () => seven.send(`reply ${step}`, row?.message ? { replyTo: row.message.id, mentions: ["asha"] } : {}),
      () => own && seven.edit(idOf(own), `edit ${step}`),
      () => own && seven.edit(idOf(own), `edit ${step} again`),
      () => own && below(3) === 0 && seven.remove(idOf(own)),
      () => row && seven.react(idOf(row), emoji),
      () => row && seven.react(idOf(row), emoji),
      () => row && seven.pin(idOf(row), below(2) === 0),
      () => tab.cut(),
      () => {
        tab.wires.socketDown = below(2) === 0
      },
      () => {
        tab.wires.httpDown = below(3) === 0
      },
      () => (below(2) ? tab.wires.loseAck.add(event) : tab.wires.loseAck.clear()),
      () => (below(2) ? tab.wires.loseEvent.add("conversation_entry") : tab.wires.loseEvent.clear()),
      () => seven.jumpTo(1 + below(stored.log.length)).catch(() => {}),
      () => seven.loadOlder().catch(() => {}),
      () => seven.jumpToNewest().catch(() => {}),
      () => seven.stay(below(2) === 0),
    ]
    void acts[below(acts.length)]?.()
    await clock.advance([0, 10, 200, 3_000][below(4)] as number)
  }
  for (const tab of tabs) await settle(world, tab)
  await clock.advance(180_000)
  // An event that is lost in an open connection shows by the next one.
  server.say("7", "asha", "the end")
  // What was refused is of a message that the other tab had deleted.
  for (const { client } of tabs)
    for (const item of client.outbox.get().items) {
      expect(item).toMatchObject({ state: "failed", error: { code: "not_found" } })
      await client.outbox.discard(item.clientMessageId)
    }
  await clock.advance(1_000)
  for (const tab of [...tabs, start(world, "me", new Browser())]) {
    await clock.advance(1_000)
    const truth = foldAll(stored.log, tab.userId).map((message) => ({
      id: message.id,
      content: message.content,
      editedAt: message.editedAt ?? null,
      deletedAt: message.deletedAt ?? null,
      pinnedAt: message.pinnedAt ?? null,
      replyTo: message.replyTo ?? null,
      mentions: message.mentions ?? [],
      reactions: [...(message.reactions ?? [])].sort((one, other) => (one.emoji < other.emoji ? -1 : 1)),
      writes: 0,
    }))
    expect(await all(tab)).toEqual(truth)
    const { lastMessage, headSeq, unread } = server.view(stored, tab.userId)
    const item = tab.client.conversations.get().items.find(({ id }) => id === "7")
    expect({
      id: item?.lastMessage?.id,
      content: item?.lastMessage?.content,
      headSeq: item?.headSeq,
      unread: item?.unread,
    }).toEqual({
      id: lastMessage?.id,
      content: lastMessage?.content,
      headSeq,
      unread,
    })
  }
})
