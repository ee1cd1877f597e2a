import { base64url, fromBase64url, sha256Hex, utf8 } from './bytes.ts'
import { canonicalJson, type Json, parseCanonicalJson } from './canonicalJson.ts'

/** What a JWS of ORIEN states. */
export type JwsType =
  | 'orien-offer+jws'
  | 'orien-receipt+jws'
  | 'orien-countersignature+jws'
  | 'orien-refunds+jws'
  | 'orien-node+jws'

/** Signs bytes with an Ed25519 key that the caller holds. */
export type Ed25519Sign = (data: Uint8Array) => Uint8Array

/** Verifies an Ed25519 signature; `publicKey` is the raw key in base64url. */
export type Ed25519Verify = (publicKey: string, data: Uint8Array, signature: Uint8Array) => boolean

/** A compact JWS taken apart, not yet verified. */
export type DecodedJws = {
  publicKey: string
  payload: unknown
  readonly signingInput: Uint8Array
  signature: Uint8Array
}

/**
 * Makes a compact JWS (RFC 7515) with EdDSA (RFC 8037) over canonical JSON. The header names the key by its raw
 * base64url form, so header and payload have exactly one spelling.
 *
 * @example
 * const jws = makeJws('orien-receipt+jws', publicKey, { v: 1 }, (data) => sign(null, data, privateKey))
 */
export function makeJws(typ: JwsType, publicKey: string, payload: Json, sign: Ed25519Sign): string {
  const header = base64url(utf8(canonicalJson({ alg: 'EdDSA', kid: publicKey, typ })))
  const input = `${header}.${base64url(utf8(canonicalJson(payload)))}`
  return `${input}.${base64url(sign(utf8(input)))}`
}

// A byte order mark is a byte too many, so it is not skipped.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of one part; null for other base64url than its one spelling, and for what is not UTF-8. */
function readText(part: string): string | null {
  const bytes = fromBase64url(part)
  if (!bytes) return null
  try {
    return decoder.decode(bytes)
  } catch {
    return null
  }
}

/** The last header that was read: a chain of receipts repeats one header, so it is read once and then compared. */
let lastHeader: { part: string; typ: JwsType; publicKey: string } | null = null

/** The key that a header names; null unless it is exactly the header of the wanted type. */
function readHeader(typ: JwsType, part: string): string | null {
  if (lastHeader?.part === part && lastHeader.typ === typ) return lastHeader.publicKey
  const header = parseCanonicalJson(readText(part) ?? '')
  if (!header || typeof header !== 'object' || Array.isArray(header)) return null
  const { alg, kid, typ: actual, ...unknown } = header as Record<string, Json>
  if (alg !== 'EdDSA' || actual !== typ || typeof kid !== 'string' || Object.keys(unknown).length > 0)
    return null
  lastHeader = { part, typ, publicKey: kid }
  return kid
}

/** Reads a payload's canonical JSON; undefined for any other text. */
type ReadPayload<Payload> = (text: string) => Payload | undefined

/**
 * Takes a compact JWS of the wanted type apart.
 *
 * @returns null for any other bytes: another algorithm or type, extra header fields, a second spelling
 */
export function decodeJws(typ: JwsType, jws: string): DecodedJws | null {
  return decodeJwsBy((text) => parseCanonicalJson(text) ?? undefined, typ, jws)
}

/** {@link decodeJws} by a reader that knows what stands in the payload, and refuses all but its one spelling. */
export function decodeJwsBy<Payload>(
  read: ReadPayload<Payload>,
  typ: JwsType,
  jws: string,
): (DecodedJws & { payload: Payload }) | null {
  const [headerPart, payloadPart, signaturePart, ...rest] = jws.split('.')
  if (!headerPart || !payloadPart || !signaturePart || rest.length > 0) return null
  const publicKey = readHeader(typ, headerPart)
  const text = readText(payloadPart)
  const payload = text === null ? undefined : read(text)
  const signature = fromBase64url(signaturePart)
  if (publicKey === null || payload === undefined || signature?.length !== 64) return null
  return {
    publicKey,
    payload,
    signature,
    // Of a chain of receipts only the last signature has to be checked: the others never need these bytes.
    get signingInput() {
      return utf8(`${headerPart}.${payloadPart}`)
    },
  }
}

/** Whether a decoded JWS was signed by the key it names. */
export function isSignedBy(jws: DecodedJws, publicKey: string, verify: Ed25519Verify): boolean {
  return jws.publicKey === publicKey && verify(publicKey, jws.signingInput, jws.signature)
}

/** The hash by which the next link of a chain names this one: SHA-256 over the compact JWS, signature included. */
export function jwsHash(jws: string): string {
  return sha256Hex(jws)
}
