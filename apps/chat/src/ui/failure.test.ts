import { LamplightError } from "@lamplight/client"
import { afterEach, expect, it } from "vitest"
import { loadWords } from "../languages/words"
import { accountReason, groupReason, reason } from "./failure"

afterEach(() => loadWords("en"))

it("says what the server said in its language, and the same in general in another one", async () => {
  const wrong = new LamplightError({
    code: "unauthenticated",
    message: "The username or the password is wrong.",
    retryable: false,
  })
  const full = new LamplightError({ code: "forbidden", message: "This group is full.", retryable: false })
  const other = new LamplightError({ code: "teapot", message: "I am a teapot.", retryable: false })
  expect(accountReason(wrong)).toBe("The username or the password is wrong.")
  expect(groupReason(full)).toBe("This group is full.")
  expect(reason(other)).toBe("I am a teapot.")
  await loadWords("de")
  expect(accountReason(wrong)).toBe("Der Benutzername oder das Passwort ist falsch.")
  expect(groupReason(full)).toBe("Das darfst du nicht.")
  expect(reason(other)).toBe("Etwas ist schiefgegangen. Es wurde nichts geändert.")
})
