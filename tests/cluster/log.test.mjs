// Followers of the log of all conversations skip no entry, whatever the order of commits.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { conversationOf, crowd, somebody } from "../e2e/support/person.mjs"
import { startProxied } from "../e2e/support/proxied.mjs"
import { OPEN } from "../e2e/support/server.mjs"
import { pass, until } from "../e2e/support/wait.mjs"
import { append, databaseOf } from "./append.mjs"

/** @type {Awaited<ReturnType<typeof startProxied>>} */
let cluster
before(async () => {
  cluster = await startProxied({ settings: OPEN })
})
after(() => cluster.stop())

test("C11: unannounced entries that commit after entries with higher numbers reach every node", async (t) => {
  const [one, two, three] = cluster.nodes.map((node) => crowd(t, node))
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const clients = [await one.join(asha), await two.join(ben), await three.join(ben)]
  const carls = Array.from({ length: 4 }, () => somebody("carl"))
  const slow = await conversationOf(cluster.nodes[0], asha, ben)
  const fast = []
  for (const carl of carls) fast.push(await conversationOf(cluster.nodes[0], ben, carl))
  const senders = await Promise.all(carls.map((carl) => one.join(carl)))
  // A node that dies between commit and publish, after it took its time to commit.
  const committed = cluster.postgres.query(
    `BEGIN; ${append(slow, asha, "slow-1")}; ${append(slow, asha, "slow-2")}; SELECT pg_sleep(4); COMMIT`,
    databaseOf(cluster),
  )
  await pass(500)
  const until3s = performance.now() + 3_000
  let sent = 0
  while (performance.now() < until3s) {
    const answers = await Promise.all(senders.map((sender, n) => sender.send(fast[n], `fast-${sent}`)))
    assert.ok(answers.every((answer) => answer.success))
    sent += 1
    await pass(20)
  }
  const of = (client, id) => client.messages().filter((message) => message.conversationId === id)
  // The open transaction does not block other writers.
  for (const client of clients.slice(1)) {
    await until(() => fast.every((id) => of(client, id).length === sent), "the others came", 20_000)
    assert.equal(of(client, slow).length, 0)
  }
  await committed
  const began = performance.now()
  for (const client of clients) {
    await until(() => of(client, slow).length === 2, "the slow entries came", 20_000)
  }
  t.diagnostic(`the entries came ${(performance.now() - began).toFixed(0)} ms after their commit`)
  // Repeated or reordered entries would arrive before these.
  await senders[0].send(fast[0], "last")
  assert.ok((await clients[0].send(slow, "last")).success)
  for (const client of clients.slice(1)) {
    await client.sees(
      "new_private_message",
      (message) => message.conversationId === fast[0] && message.content === "last",
    )
    await client.sees(
      "new_private_message",
      (message) => message.conversationId === slow && message.content === "last",
    )
    for (const id of [slow, ...fast]) {
      const seqs = of(client, id).map((message) => message.seq)
      assert.deepEqual(
        seqs,
        seqs.map((_, n) => n + 1),
      )
    }
  }
})
