// Runs test files against three nodes behind nginx: starts a Redis and a PostgreSQL for all of them, then
// `node --test` with the arguments. Each test makes a database and a prefix of its own.
import { spawn } from "node:child_process"
import { startPostgres, startRedis } from "./support/services.mjs"

const [redis, postgres] = await Promise.all([startRedis(), startPostgres({ max_connections: 1000 })])
const env = {
  ...process.env,
  LAMPLIGHT_TARGET: "cluster",
  LAMPLIGHT_TEST_REDIS_PORT: String(redis.port),
  LAMPLIGHT_TEST_POSTGRES_PORT: String(postgres.port),
}
const [program, ...words] = process.argv.slice(2)
const tests = spawn(program, words, { env, stdio: "inherit" })
tests.once("exit", async (code) => {
  await Promise.all([redis.stop(), postgres.stop()])
  process.exit(code ?? 1)
})
