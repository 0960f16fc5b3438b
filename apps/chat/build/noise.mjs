// Makes src/styles/noise.png, which lies over the light of the lamp: a gradient between two close colours has visible bands, since a
// screen has 256 levels, and noise of one or two of them hides the bands. Run it with `node build/noise.mjs`; the result is always the same.
import { writeFileSync } from "node:fs"
import { crc32, deflateSync } from "node:zlib"

const SIZE = 96
/** The strongest pixel, of 255. */
const MOST = 3

let seed = 1
const next = (n) => {
  seed = (seed * 48_271) % 2_147_483_647
  return seed % n
}

const chunk = (type, data) => {
  const body = Buffer.concat([Buffer.from(type), data])
  const framed = Buffer.alloc(body.length + 8)
  framed.writeUInt32BE(data.length, 0)
  body.copy(framed, 4)
  framed.writeUInt32BE(crc32(body), body.length + 4)
  return framed
}

// Grey and alpha, 8 bits each; each line begins with its filter, none.
const pixels = Buffer.alloc(SIZE * (1 + 2 * SIZE))
for (let y = 0; y < SIZE; y += 1)
  for (let x = 0; x < SIZE; x += 1) {
    const at = y * (1 + 2 * SIZE) + 1 + 2 * x
    pixels[at] = next(2) * 255
    pixels[at + 1] = next(MOST + 1)
  }
const header = Buffer.alloc(13)
header.writeUInt32BE(SIZE, 0)
header.writeUInt32BE(SIZE, 4)
header.set([8, 4, 0, 0, 0], 8)
const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
writeFileSync(
  new URL("../src/styles/noise.png", import.meta.url),
  Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(pixels, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]),
)
