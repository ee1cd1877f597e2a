/**
 * The process that holds the operator key. Started by the node with the data directory as its only argument; speaks
 * lines of JSON over descriptor 3 and ends with it. See docs/keys.md.
 */
import { Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { channelId, OrienError } from '@orien/protocol'
import { addressOfKey, signDigest, signTransaction } from '@orien/sdk'
import { readOperatorKey } from '../identity/keys.ts'
import { loadProvider } from '../identity/providerFile.ts'
import { batchCall } from './batchCall.ts'
import { openBook } from './book.ts'
import { judgeClaims } from './judge.ts'
import { digestOf, signerAnswer, signerRequest } from './request.ts'

/** Above every uid that a sandbox gets: nothing else runs under it. */
const SIGNER_UID = 1_900_100_000
const CHANNEL = 3

const socket = new Socket({ fd: CHANNEL, readable: true, writable: true })
type Answer = Parameters<typeof signerAnswer.encode>[0]
const tell = (answer: Answer) => socket.write(`${JSON.stringify(signerAnswer.encode(answer))}\n`)

/** From here on this process can neither read the node's files nor write its own anew. */
function dropRights(): void {
  if (process.getuid?.() !== 0) return
  process.setgroups?.([])
  process.setgid?.(SIGNER_UID)
  process.setuid?.(SIGNER_UID)
}

async function serve(dataDir: string): Promise<void> {
  const key = await readOperatorKey(dataDir)
  const provider = await loadProvider(dataDir)
  const book = openBook(join(dataDir, 'signer.book'))
  dropRights()
  const grounds = { provider, signedMicros: book.signedMicros }
  tell({ ready: true, address: addressOfKey(key) })
  const lines = createInterface({ input: socket })
  lines.on('error', () => process.exit(0))
  lines.on('line', (line) => {
    const parsed = read(line)
    if (!parsed.ok)
      return tell({ id: parsed.id, code: 'validation_failed', detail: 'not a request to claim' })
    const { id, request } = parsed.value
    const { sound, refused } = judgeClaims(request, grounds)
    if (sound.length === 0) return tell({ id, signed: { refused } })
    // Remembered before it leaves.
    for (const { channel, claimMicros } of sound) book.note(channelId(channel), claimMicros)
    const { chain, registration } = provider
    const { batch, deadline } = request
    const claimed = { batch, claims: sound, deadline }
    const signature = signDigest(key, digestOf(chain, registration.payout, claimed))
    if (request.kind === 'sign') return tell({ id, signed: { signature, refused } })
    const data = batchCall(registration.payout, claimed, signature)
    const raw = signTransaction(key, { ...request.fees, chainId: chain.chainId, to: chain.escrow, data })
    return tell({ id, signed: { signature, raw, refused } })
  })
}

type Read = { ok: true; value: ReturnType<typeof signerRequest.parse> } | { ok: false; id: number }

function read(line: string): Read {
  try {
    const value: unknown = JSON.parse(line)
    const parsed = signerRequest.safeDecode(value as Parameters<typeof signerRequest.safeDecode>[0])
    if (parsed.success) return { ok: true, value: parsed.data }
    const id = typeof value === 'object' && value !== null && 'id' in value ? Number(value.id) : -1
    return { ok: false, id: Number.isSafeInteger(id) ? id : -1 }
  } catch {
    return { ok: false, id: -1 }
  }
}

// The node's signals are for the node: this process ends when the node's end of the channel does.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
socket.on('close', () => process.exit(0))
socket.on('error', () => process.exit(0))
serve(process.argv[2] ?? '').catch((error: unknown) => {
  const { code, message: detail } =
    error instanceof OrienError ? error : new OrienError('setup_failed', 'the signer could not start')
  tell({ ready: false, code, detail })
  socket.end()
})
