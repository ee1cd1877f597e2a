/** An agent in a process of its own: carries one file up and down and tells how its memory grew. */
import { createHash } from 'node:crypto'
import { openAsBlob } from 'node:fs'
import type { Hex, Id } from '@orien/protocol'
import { Orien } from '@orien/sdk'
import { privateKeyToAccount } from 'viem/accounts'
import { resetPeak, residentBytes } from './memory.ts'

/** What the parent hands over. */
export type Errand = {
  url: string
  rpcUrl: string
  privateKey: Hex
  sessionId: Id<'session'>
  file: string
  direction: 'up' | 'down'
}

/** What it answers, as one line of JSON. */
export type Errands = { sha256: string; bytes: number; tookMs: number; grownBytes: number }

const errand = JSON.parse(process.argv[2] ?? '') as Errand
const { url: baseUrl, rpcUrl, privateKey, sessionId, file, direction } = errand
const orien = new Orien({ baseUrl, rpcUrl, account: privateKeyToAccount(privateKey) })
const session = await orien.session(sessionId)

async function carry(name: string, content: Blob): Promise<{ sha256: string; bytes: number }> {
  if (direction === 'up') return session.upload(name, content)
  const hash = createHash('sha256')
  let bytes = 0
  for await (const piece of session.downloadPieces(name)) {
    hash.update(piece)
    bytes += piece.length
  }
  return { sha256: hash.digest('hex'), bytes }
}

// Code and buffers that any transfer needs are no growth: a small one goes first.
await carry('small', new Blob([new Uint8Array(8_388_608)]))
const beforeBytes = residentBytes(process.pid, 'VmRSS')
resetPeak(process.pid)
const beganMs = performance.now()
const { sha256, bytes } = await carry('large', await openAsBlob(file))
const tookMs = performance.now() - beganMs
const grownBytes = residentBytes(process.pid, 'VmHWM') - beforeBytes
console.log(JSON.stringify({ sha256, bytes, tookMs, grownBytes } satisfies Errands))
