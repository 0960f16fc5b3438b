// Appends to a log like a node that does not announce its entries.

/** The statement by which a node appends an entry. */
export const append = (conversation, sender, message) =>
  `WITH locked AS (
     UPDATE conversations SET head_seq = head_seq + 1 WHERE conversation_id = '${conversation}' RETURNING id, head_seq
   )
   INSERT INTO entries (conversation, seq, message_id, sender, content, created_at)
   SELECT l.id, l.head_seq, '${message}', p.id, '${message}', ${Date.now()}
   FROM locked l, people p WHERE p.user_id = '${sender}'`

/** The name of the nodes' database. */
export const databaseOf = (cluster) =>
  new URL(cluster.nodes[0].server.settings.DATABASE_URL).pathname.slice(1)
