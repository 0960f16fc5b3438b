// Small files of known kinds, made by hand.
import { deflateSync } from "node:zlib"

/** A chunk of a PNG. */
function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name), data])
  let crc = ~0
  for (const byte of body) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  sum.writeUInt32BE(~crc >>> 0)
  return Buffer.concat([length, body, sum])
}

/** A PNG of this header's size and colour type (0: grey, 2: red, green and blue), of rows that begin with their filter. */
function container(width, height, colour, rows, ...texts) {
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([8, colour, 0, 0, 0], 8)
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", head),
    ...texts.map((text) => chunk("tEXt", Buffer.from(text))),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ])
}

/** A grey PNG with a text that says where it was taken. Its header may claim another width. */
export function png(width, height, headerWidth = width, shade = 0x80) {
  const rows = Buffer.alloc((width + 1) * height, shade)
  for (let row = 0; row < height; row++) rows[row * (width + 1)] = 0
  return container(headerWidth, height, 0, rows, "Comment\0a secret place")
}

/** A PNG of pixels, three bytes each: red, green, blue. */
export function colourPng(width, height, pixels) {
  const rows = Buffer.alloc((width * 3 + 1) * height)
  for (let y = 0; y < height; y++)
    rows.set(pixels.subarray(y * width * 3, (y + 1) * width * 3), y * (width * 3 + 1) + 1)
  return container(width, height, 2, rows)
}

/** A PNG with a gradient of two colours. */
export function gradient(width, height) {
  const rows = Buffer.alloc((width * 3 + 1) * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * (width * 3 + 1) + 1 + x * 3
      rows.set([120 + (100 * x) / width, 90 + (90 * y) / height, 160 - (60 * x) / width], at)
    }
  }
  return container(width, height, 2, rows)
}

/** Silence of 8,000 bytes a second. */
export function wav(seconds) {
  const data = Buffer.alloc(8_000 * seconds)
  const head = Buffer.alloc(44)
  head.write("RIFF____WAVEfmt ")
  head.writeUInt32LE(36 + data.length, 4)
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20)
  head.writeUInt16LE(1, 22)
  head.writeUInt32LE(8_000, 24)
  head.writeUInt32LE(8_000, 28)
  head.writeUInt16LE(1, 32)
  head.writeUInt16LE(8, 34)
  head.write("data", 36)
  head.writeUInt32LE(data.length, 40)
  return Buffer.concat([head, data])
}

/** The headers of a video of 640 times 360, as long as it says, in milliseconds. */
export function mp4(duration) {
  const box = (type, ...parts) => {
    const head = Buffer.alloc(8)
    const content = Buffer.concat(parts)
    head.writeUInt32BE(content.length + 8)
    head.write(type, 4)
    return Buffer.concat([head, content])
  }
  const words = (...numbers) => {
    const bytes = Buffer.alloc(numbers.length * 4)
    numbers.forEach((number, index) => {
      bytes.writeUInt32BE(number, index * 4)
    })
    return bytes
  }
  const matrix = [65_536, 0, 0, 0, 65_536, 0, 0, 0, 0x40000000]
  const tkhd = words(0, 0, 0, 1, 0, duration, 0, 0, 0, 0, ...matrix, 640 << 16, 360 << 16)
  const hdlr = Buffer.concat([words(0, 0), Buffer.from("vide"), Buffer.alloc(13)])
  const trak = box("trak", box("tkhd", tkhd), box("mdia", box("hdlr", hdlr)))
  const moov = box("moov", box("mvhd", words(0, 0, 0, 1_000, duration)), trak)
  return Buffer.concat([box("ftyp", Buffer.from("isom")), moov, box("mdat", Buffer.alloc(9_000))])
}

/** The width and the height that a JPEG or a PNG says. */
export function dimensions(bytes) {
  if (bytes[0] === 0x89) return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)]
  for (let at = 2; at < bytes.length; ) {
    const [marker, length] = [bytes[at + 1], bytes.readUInt16BE(at + 2)]
    if (marker >= 0xc0 && marker <= 0xc2) return [bytes.readUInt16BE(at + 7), bytes.readUInt16BE(at + 5)]
    at += 2 + length
  }
  return undefined
}
