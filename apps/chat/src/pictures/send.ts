/** The requests that give an account or a group its picture: the client's own requests are JSON. */
import { LamplightError } from "@lamplight/client"

/** The request is aborted if no byte leaves for this long: the server waits 20 s for the next one. */
const SILENCE_MS = 30_000
/** After the last byte the server makes the square. */
const ANSWER_MS = 60_000

/** The paths of the server for pictures. */
export const ACCOUNT_PICTURE = "/api/account/avatar"
export const groupPicture = (id: string) => `/api/privatechat/conversations/${encodeURIComponent(id)}/avatar`

export interface PictureRequest {
  path: string
  picture: Blob
  /** The cookie may be another user's by now: the server compares it with this one. */
  userId: string
  /** Where tokens identify the user. */
  token: string | undefined
  signal: AbortSignal
  /** Called with the part of the bytes that has left, from 0 to 1. */
  onProgress: (part: number) => void
}

/** Sends a picture. Throws `LamplightError`. Only XMLHttpRequest tells how much of a body has left. */
export function sendPicture(request: PictureRequest): Promise<void> {
  const { path, picture, userId, token, signal, onProgress } = request
  return new Promise((resolve, reject) => {
    const http = new XMLHttpRequest()
    const fail = (code: string, message: string) =>
      reject(new LamplightError({ code, message, retryable: true }))
    http.open("PUT", path)
    // `timeout` counts from the start of the request. Set anew, it still does (XMLHttpRequest, section 3.5.5).
    const began = performance.now()
    const waitFor = (ms: number) => {
      http.timeout = performance.now() - began + ms
    }
    waitFor(SILENCE_MS)
    http.setRequestHeader("content-type", picture.type || "application/octet-stream")
    // Headers hold Latin-1, ids hold all of Unicode.
    http.setRequestHeader("x-user-id", encodeURIComponent(userId.replace(/\p{Surrogate}/gu, "\ufffd")))
    if (token) http.setRequestHeader("authorization", `Bearer ${token}`)
    http.upload.onprogress = ({ loaded }) => {
      waitFor(loaded < picture.size ? SILENCE_MS : ANSWER_MS)
      onProgress(Math.min(1, loaded / picture.size))
    }
    http.onload = () => {
      const refusal = refusalIn(http)
      if (refusal) reject(refusal)
      else resolve()
    }
    http.onerror = () => fail("offline", "The server cannot be reached.")
    http.ontimeout = () => fail("timeout", "The server took too long.")
    http.onabort = () => fail("aborted", "The request was given up.")
    const stop = () => http.abort()
    signal.addEventListener("abort", stop)
    http.onloadend = () => signal.removeEventListener("abort", stop)
    http.send(picture)
  })
}

/** The error in an answer; null for none. */
function refusalIn({ status, responseText }: XMLHttpRequest): LamplightError | null {
  try {
    const answer = JSON.parse(responseText) as { success?: boolean; error: string; code: string }
    if (answer.success === true) return null
    const { error: message, code } = answer
    if (code) return new LamplightError({ retryable: false, ...answer, code, message })
  } catch {
    // A proxy answers with a page of its own.
  }
  // A proxy may have a lower limit than the server.
  if (status === 413) return new LamplightError({ code: "too_long", message: "", retryable: false })
  return new LamplightError({
    code: "unavailable",
    message: `The server answered ${status}.`,
    retryable: true,
  })
}
