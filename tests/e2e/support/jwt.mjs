// Valid and invalid tokens of a host application.
import { createHmac } from "node:crypto"
import { JWT_SECRET } from "./server.mjs"

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url")
const seconds = () => Math.floor(Date.now() / 1_000)

/** @param {object} claims the differences to a valid token of `sub` */
export function token(sub, claims = {}, { secret = JWT_SECRET, alg = "HS256", header = {} } = {}) {
  const head = base64({ alg, typ: "JWT", ...header })
  const body = base64({ sub, iat: seconds(), exp: seconds() + 3_600, ...claims })
  const digest = { HS256: "sha256", HS384: "sha384", HS512: "sha512" }[alg]
  const signature = digest ? createHmac(digest, secret).update(`${head}.${body}`).digest("base64url") : ""
  return `${head}.${body}.${signature}`
}

export { seconds }
