import { buildPackage } from "../client/build.mjs"

await buildPackage(import.meta.dirname, { external: ["react", "@lamplight/client"] })
