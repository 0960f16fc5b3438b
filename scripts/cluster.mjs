// `make cluster`: Redis, PostgreSQL, three nodes and nginx on loopback, on free ports and in temporary
// directories. Prints the address; Ctrl-C stops everything and removes what was stored.
import { startCluster } from "../tests/e2e/support/cluster.mjs"
import { startPostgres, startRedis } from "../tests/e2e/support/services.mjs"

const stopped = new Promise((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, resolve)
})

const [redis, postgres] = await Promise.all([startRedis(), startPostgres({ fsync: "on" })])
const settings = Object.fromEntries(
  ["AUTH", "LOG", "SERVER_KEY", "JWT_SECRET", "JWT_JWKS", "JWT_ISSUER", "JWT_AUDIENCE", "ALLOWED_ORIGINS"]
    .filter((name) => process.env[name])
    .map((name) => [name, process.env[name]]),
)
try {
  const cluster = await startCluster({ redis, postgres, settings })
  const nodes = cluster.nodes.map((node) => `  ${node.settings.NODE_ID}   ${node.url} (process ${node.pid})`)
  console.log(`Three nodes behind nginx, round robin. Open ${cluster.url}/chat
${nodes.join("\n")}
  redis   ${redis.url}
  postgres ${postgres.url("postgres")}
End a node with kill -9 and watch the others go on. Ctrl-C stops everything.`)
  await stopped
  console.log("Stopping …")
  await cluster.stop().catch(() => {})
  await cluster.dispose()
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
} finally {
  await Promise.all([redis.stop(), postgres.stop()])
}
process.exit()
