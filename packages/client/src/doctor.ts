import type { Core } from "./core.js"
import type { Identity } from "./identity.js"
import type { LamplightOptions } from "./options.js"
import type { Diagnosis } from "./types.js"

export interface Patient {
  options: LamplightOptions
  url: string
  path: string
  core: Core
  identity: Identity
}

export async function diagnose(_patient: Patient): Promise<Diagnosis> {
  return { ok: true, findings: [], facts: {} }
}
