/** The client's chunk for files. Loaded when the first file is chosen, shared or shown by a signed address. */
import type { Core } from "../core.js"
import type { Cell } from "../store.js"
import type { Upload } from "../types.js"
import type { FilesOptions, FilesPart } from "./contract.js"
import { createProgress } from "./progress.js"
import { createSigned } from "./signed.js"
import { createUploads } from "./uploads.js"

export function createPart(core: Core, given: FilesOptions, store: Cell<readonly Upload[]>): FilesPart {
  return {
    ...createUploads(core, given, store),
    progress: createProgress(core, given.sharing),
    ...createSigned(core, given.tools, given.url, given.cookies),
  }
}
