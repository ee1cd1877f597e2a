import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { nodeCrypto } from './nodeCrypto.ts'

/** A SHA-256 that is fed piece by piece; WebCrypto has only the whole thing at once. */
export type RunningSha256 = {
  update: (bytes: Uint8Array) => void
  /** 64 hex digits; the hash takes no more bytes afterwards. */
  finish: () => string
}

/** Starts a SHA-256: OpenSSL's where there is one. */
export function startSha256(): RunningSha256 {
  if (nodeCrypto) {
    const hash = nodeCrypto.createHash('sha256')
    return { update: (bytes) => void hash.update(bytes), finish: () => hash.digest('hex') }
  }
  const hash = sha256.create()
  return { update: (bytes) => void hash.update(bytes), finish: () => bytesToHex(hash.digest()) }
}
