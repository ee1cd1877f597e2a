import { crc32, deflateSync } from 'node:zlib'

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
const BYTES_PER_PIXEL = 3

function chunk(kind, data) {
  const bytes = Buffer.alloc(12 + data.length)
  bytes.writeUInt32BE(data.length, 0)
  bytes.write(kind, 4, 'latin1')
  data.copy(bytes, 8)
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length)
  return bytes
}

/** Each row as the difference from the one above: what makes smooth pictures small. */
function filterRows(pixels, width, height) {
  const rowBytes = width * BYTES_PER_PIXEL
  const filtered = Buffer.alloc(height * (rowBytes + 1))
  for (let y = 0; y < height; y += 1) {
    const to = y * (rowBytes + 1)
    const from = y * rowBytes
    filtered[to] = y === 0 ? 0 : 2
    for (let i = 0; i < rowBytes; i += 1) {
      const above = y === 0 ? 0 : pixels[from - rowBytes + i]
      filtered[to + 1 + i] = pixels[from + i] - above
    }
  }
  return filtered
}

/** An 8-bit RGB picture as PNG, https://www.w3.org/TR/png-3/. */
export function encodePng(pixels, width, height) {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2, 0, 0, 0], 8)
  const data = deflateSync(filterRows(pixels, width, height), { level: 9 })
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', data),
    chunk('IEND', Buffer.alloc(0)),
  ])
}
