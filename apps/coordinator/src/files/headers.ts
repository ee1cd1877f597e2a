import { LIMITS, OrienError } from '@orien/protocol'

type Headers = Readonly<Record<string, string | string[] | undefined>>

const invalid = (header: string, message: string) =>
  new OrienError('validation_failed', `${header} ${message}`, {
    issues: [{ path: `headers.${header}`, message }],
  })

/** Which bytes of which file a request brings. */
export type Incoming = { bytes: number; fromByte: number; toByte: number; sha256: string | undefined }

/**
 * Reads what an upload says of itself: `Content-Length`, or `Content-Range: bytes first-last/size` (RFC 9110, 14.4)
 * for a part, which has to name the whole file's hash.
 *
 * @throws OrienError `length_required`, `payload_too_large`, `validation_failed`
 */
export function readIncoming(headers: Headers): Incoming {
  const sha256 = readDigest(headers['x-content-sha256'])
  const length = headers['content-length'] === undefined ? undefined : Number(headers['content-length'])
  const range = headers['content-range']
  if (range === undefined) {
    if (length === undefined || !Number.isSafeInteger(length)) throw new OrienError('length_required')
    return within({ bytes: length, fromByte: 0, toByte: length, sha256 })
  }
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(String(range))
  if (!match) throw invalid('content-range', 'must be `bytes first-last/size`')
  const [fromByte = 0, last = 0, bytes = 0] = match.slice(1).map(Number)
  const toByte = last + 1
  if (fromByte >= toByte || toByte > bytes) throw invalid('content-range', 'must lie within the file')
  if (length !== undefined && length !== toByte - fromByte)
    throw invalid('content-range', 'must be as long as the body')
  if (sha256 === undefined) throw invalid('x-content-sha256', 'must be there with a part of a file')
  return within({ bytes, fromByte, toByte, sha256 })
}

function within(incoming: Incoming): Incoming {
  if (incoming.bytes <= LIMITS.fileBytes) return incoming
  throw new OrienError('payload_too_large', undefined, { limitBytes: LIMITS.fileBytes })
}

function readDigest(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined
  if (typeof header === 'string' && /^[0-9a-f]{64}$/.test(header)) return header
  throw invalid('x-content-sha256', 'must be a SHA-256 in lower-case hex')
}

/** From where a reader wants a file, and of which content it has the beginning. */
export type Wanted = { fromByte: number; ifSha256: string | undefined }

/** What a reader wants that no content of ours matches: the file comes whole. */
const NO_SHA256 = '0'.repeat(64)

/**
 * Reads `Range: bytes=first-` and `If-Range` (RFC 9110, 14.2 and 13.1.5). Other ranges are ignored, as a server may:
 * the answer is the whole file then.
 */
export function readWanted(headers: Headers): Wanted {
  const match = /^bytes=(\d{1,15})-$/.exec(String(headers.range ?? ''))
  if (!match) return { fromByte: 0, ifSha256: undefined }
  const condition = headers['if-range']
  if (condition === undefined) return { fromByte: Number(match[1]), ifSha256: undefined }
  const tag = /^"([0-9a-f]{64})"$/.exec(String(condition))
  return { fromByte: Number(match[1]), ifSha256: tag?.[1] ?? NO_SHA256 }
}

/** RFC 9530: the hash of the whole file, for clients that know the standard. */
export const reprDigest = (sha256: string): string =>
  `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`
