// Runs test files with their files in S3: starts a server of S3 for all of them, then `node --test` with the arguments.
// Each server of a test has a prefix of its own. For nodes: node run-cluster.mjs node run-s3.mjs node --test FILES
import { spawn } from "node:child_process"
import { startS3 } from "./support/s3.mjs"

const s3 = await startS3()
const env = { ...process.env, LAMPLIGHT_TEST_S3_PORT: String(s3.port) }
const [program, ...words] = process.argv.slice(2)
const tests = spawn(program, words, { env, stdio: "inherit" })
tests.once("exit", (code) => {
  s3.stop()
  process.exit(code ?? 1)
})
