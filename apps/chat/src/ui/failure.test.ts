import { readFileSync } from "node:fs"
import { LamplightError } from "@lamplight/client"
import { afterEach, describe, expect, it } from "vitest"
import { languages } from "../languages/choice"
import { loadWords, words } from "../languages/words"
import { accountReason, fileReason, groupReason, reason } from "./failure"

afterEach(() => loadWords("en"))

/** The server's error codes, read from its source. */
const source = readFileSync(new URL("../../../../crates/usecases/src/refusal.rs", import.meta.url), "utf8")
const codes = [
  ...new Set([...source.matchAll(/Self::[\w |:]+ => "(\w+)",/g)].map(([, code]) => code as string)),
]

const error = (code: string, message = "", retryAfterMs?: number) =>
  new LamplightError({ code, message, retryable: false, ...(retryAfterMs && { retryAfterMs }) })

describe.each(languages.map(({ code }) => code))("why something failed, in %s", (language) => {
  it("every code of the server and the client has a text in each language", async () => {
    await loadWords(language)
    expect(codes.length).toBe(10)
    for (const code of [...codes, "offline", "timeout"])
      for (const why of [reason, accountReason, groupReason, fileReason]) {
        const text = why(error(code))
        expect([code, text]).not.toEqual([code, words.errors.generic])
        expect(text).toMatch(/[.]$/)
      }
  })

  it("the text says how long to wait if the server does", async () => {
    await loadWords(language)
    for (const why of [reason, accountReason]) expect(why(error("rate_limited", "", 11_200))).toMatch(/12/)
    expect(reason(error("rate_limited"))).not.toMatch(/\d/)
  })
})

it("a specific server error is shown unchanged in English, and as a general text in other languages", async () => {
  const wrong = error("unauthenticated", "The user name or the password is wrong.")
  const full = error("too_long", "The group is full.")
  const closed = error("forbidden", "Registration is closed on this server.")
  const other = error("teapot", "I am a teapot.")
  const kind = error("unsupported_media", "Files of the type a/b cannot be uploaded here.")
  expect(accountReason(wrong)).toBe("The user name or the password is wrong.")
  expect(accountReason(closed, words.signIn.closed)).toBe("Registration is closed on this server.")
  expect(groupReason(full)).toBe("The group is full.")
  expect(fileReason(kind)).toBe("Files of the type a/b cannot be uploaded here.")
  expect(reason(other)).toBe("I am a teapot.")
  // Codes for programs.
  expect(reason(error("conflict", "This clientMessageId was used for another write."))).toBe(
    words.errors.conflict,
  )
  await loadWords("de")
  expect(accountReason(wrong)).toBe("Der Benutzername oder das Passwort ist falsch.")
  expect(accountReason(closed, words.signIn.closed)).toMatch(/^Die Registrierung ist geschlossen/)
  expect(accountReason(error("forbidden"))).toMatch(/^Das Passwort ist falsch/)
  expect(groupReason(full)).toMatch(/^Die Gruppe ist voll/)
  expect(fileReason(kind)).toMatch(/^Dateien dieser Art/)
  expect(reason(other)).toBe("Etwas ist schiefgegangen. Es wurde nichts geändert.")
})
