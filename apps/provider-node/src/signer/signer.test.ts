import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readFile, stat } from 'node:fs/promises'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { invariant, micros } from '@orien/protocol'
import { recoverSigner } from '@orien/sdk'
import { parseTransaction, recoverTransactionAddress } from 'viem'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import { JOURNAL_PATH, readJournal } from '../journal/journal.ts'
import { silentLog } from '../log.ts'
import { createProcessDriver } from '../sandbox/unsandboxed.ts'
import { HOLD, openSession, type TestSession } from '../testing/agent.ts'
import { memoryHolds } from '../testing/memory.ts'
import { FIXTURES } from '../testing/node.ts'
import { startWorld, type World } from '../testing/world.ts'
import { batchCall } from './batchCall.ts'
import { openSigner, type Signer } from './client.ts'
import { type BackedClaim, digestOf } from './request.ts'

const log = silentLog
let world: World
let session: TestSession
/** A close that is backed by a real run of a real node. */
let sound: BackedClaim
let signer: Signer | undefined

beforeAll(async () => {
  world = await startWorld({ driver: createProcessDriver(), allowUnisolated: true })
  session = world.newSession()
  const { cumulativeMicros } = await world.run(session.work())
  await world.node.stop()
  const kept = (await readJournal(join(world.dataDir, JOURNAL_PATH))).sessions.get(session.sessionId)
  invariant(kept?.lastReceipt && kept.voucher, 'the journal keeps what backs a claim')
  sound = {
    sessionId: session.sessionId,
    channel: session.channel,
    claimMicros: cumulativeMicros,
    voucher: kept.voucher,
    receipt: kept.lastReceipt,
  }
})
afterAll(() => world.close())
afterEach(async () => {
  await signer?.stop()
  signer = undefined
})

const open = async () => {
  signer = await openSigner({ dataDir: world.dataDir, clock: systemClock, log })
  return signer
}

const DEADLINE = 1_900_000_000
const closeOf = (...claims: unknown[]) => ({
  kind: 'sign' as const,
  batch: 'CloseBatch' as const,
  claims: claims as BackedClaim[],
  deadline: DEADLINE,
})

const refusalOf = async (claim: unknown) => {
  const opened = signer ?? (await open())
  return opened.sign(closeOf(claim)).then(
    ({ refused }) => refused[0]?.code ?? 'signed',
    (error: { code?: string }) => error.code ?? 'uncoded',
  )
}

describe('the process that holds the operator key', () => {
  test('signs a close that receipts and a voucher back, as the registered operator', async () => {
    const { address, sign } = await open()
    const { signature } = await sign(closeOf(sound))
    const digest = digestOf(sound.channel, sound.channel.payee, closeOf(sound))
    expect(recoverSigner(digest, signature ?? '0x')).toBe(address)
  })

  test('judges the closes of a batch one by one, and signs under the sound ones alone', async () => {
    const { address, sign } = await open()
    const { receipt, voucher, ...bare } = sound
    const { signature, refused } = await sign(closeOf({ ...bare, receipt }, sound, { ...bare, voucher }))
    expect(refused.map(({ code }) => code)).toEqual(['voucher_required', 'receipt_mismatch'])
    const digest = digestOf(sound.channel, sound.channel.payee, closeOf(sound))
    expect(recoverSigner(digest, signature ?? '0x')).toBe(address)
  })

  test('refuses whatever is not backed, each with its code', async () => {
    const other = openSession((await readJournal(join(world.dataDir, JOURNAL_PATH))).currentOffer?.jws ?? '')
    const stranger = `0x${'77'.repeat(20)}` as const
    const { receipt, voucher, ...bare } = sound
    const cases: [string, unknown][] = [
      ['forbidden', { ...sound, channel: { ...sound.channel, payee: stranger } }],
      ['forbidden', { ...sound, channel: { ...sound.channel, escrow: stranger } }],
      ['forbidden', { ...sound, sessionId: other.sessionId }],
      ['receipt_mismatch', { ...sound, claimMicros: micros(sound.claimMicros + 1n) }],
      ['receipt_mismatch', { ...bare, voucher }],
      ['receipt_mismatch', { ...sound, receipt: `${receipt?.slice(0, -4)}AAAA` }],
      ['receipt_mismatch', { ...sound, sessionId: other.sessionId, channel: other.channel }],
      ['voucher_required', { ...bare, receipt }],
      ['voucher_required', { ...sound, voucher: session.voucher(sound.claimMicros - 1n) }],
      ['voucher_invalid', { ...sound, voucher: { ...voucher, cumulativeMicros: micros(HOLD * 9n) } }],
    ]
    for (const [code, request] of cases) expect([code, await refusalOf(request)]).toEqual([code, code])
  })

  test('signs a transaction only for closes that are backed: a call of the escrow, without value', async () => {
    const { address, signSend } = await open()
    const fees = { nonce: 3, gas: 500_000n, maxFeePerGas: 7n, maxPriorityFeePerGas: 2n }
    const { receipt, voucher, ...bare } = sound
    const send = (...claims: unknown[]) => signSend({ ...closeOf(...claims), kind: 'send', fees })
    const { raw, signature, refused } = await send({ ...bare, receipt }, sound)
    expect(refused.map(({ code }) => code)).toEqual(['voucher_required'])
    const transaction = parseTransaction(raw ?? '0x')
    const { chainId, escrow: to, payee } = sound.channel
    const data = batchCall(payee, closeOf(sound), signature ?? '0x')
    expect(transaction).toMatchObject({ ...fees, chainId, to, data })
    expect(transaction.value ?? 0n).toBe(0n)
    const signer = await recoverTransactionAddress({ serializedTransaction: raw as `0x02${string}` })
    expect(signer.toLowerCase()).toBe(address)
    expect((await send({ ...bare, voucher })).raw).toBeUndefined()
  })

  test('signs a part on the same grounds, as another message, and no close below it', async () => {
    const part = (claim: unknown) => ({ ...closeOf(claim), batch: 'ClaimBatch' as const })
    const { address, sign } = await open()
    const { receipt, voucher, ...bare } = sound
    expect((await sign(part({ ...bare, receipt }))).refused).toMatchObject([{ code: 'voucher_required' }])
    expect((await sign(part({ ...bare, voucher }))).refused).toMatchObject([{ code: 'receipt_mismatch' }])
    const { signature } = await sign(part(sound))
    expect(recoverSigner(digestOf(sound.channel, sound.channel.payee, part(sound)), signature ?? '0x')).toBe(
      address,
    )
    expect(signature).not.toBe((await sign(closeOf(sound))).signature)
    expect(await refusalOf({ ...bare, claimMicros: micros(0n) })).toBe('illegal_transition')
  })

  test('signs no close below one that it has signed, not even after a restart', async () => {
    await (await open()).sign(closeOf(sound))
    const { receipt, voucher, ...bare } = sound
    const lower = { ...bare, claimMicros: micros(0n) }
    expect(await refusalOf(lower)).toBe('illegal_transition')
    await signer?.stop()
    signer = undefined
    expect(await refusalOf(lower)).toBe('illegal_transition')
    expect(await refusalOf(sound)).toBe('signed')
  })

  test('that is killed is started again, and what it was asked is answered', async () => {
    const { pid, sign } = await open()
    const before = pid()
    const first = await sign(closeOf(sound))
    invariant(before, 'a process has an id')
    process.kill(before, 'SIGKILL')
    expect(await sign(closeOf(sound))).toEqual(first)
    expect(pid()).not.toBe(before)
  })

  test('does not start with a key that others can read', async () => {
    const path = join(world.dataDir, 'operator.key')
    await chmod(path, 0o640)
    await expect(open()).rejects.toMatchObject({ code: 'setup_failed' })
    await chmod(path, 0o600)
  })

  test('has no environment, and under a root node neither the node’s uid nor a file that others can read', async () => {
    const { pid } = await open()
    expect(await readFile(`/proc/${pid()}/environ`, 'utf8')).toBe('')
    const status = await readFile(`/proc/${pid()}/status`, 'utf8')
    const uid = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1])
    const own = process.getuid?.() ?? -1
    expect(uid === own).toBe(own !== 0)
    expect((await stat(join(world.dataDir, 'signer.book'))).mode & 0o777).toBe(0o600)
  })
})

describe('raw requests to the signer', () => {
  const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))

  test.each([
    ['a digest', { kind: 'digest', digest: `0x${'ab'.repeat(32)}` }],
    ['another kind of message', { kind: 'claim' }],
    ['a transaction', { kind: 'send', to: `0x${'ab'.repeat(20)}`, data: '0x', value: '1' }],
    ['a close with a field more', { kind: 'sign', digest: `0x${'ab'.repeat(32)}` }],
  ])('%s is refused with a code, and the next one is served', async (_, request) => {
    const child = spawn(process.execPath, [MAIN, world.dataDir], {
      env: {},
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    })
    const channel = child.stdio[3]
    invariant(channel instanceof Socket, 'the fourth descriptor is a socket')
    const lines = createInterface({ input: channel })[Symbol.asyncIterator]()
    expect(JSON.parse(String((await lines.next()).value))).toMatchObject({ ready: true })
    for (const line of [JSON.stringify({ id: 7, request }), 'no json', JSON.stringify({ id: 8, request })])
      channel.write(`${line}\n`)
    for (const id of [7, -1, 8])
      expect(JSON.parse(String((await lines.next()).value))).toMatchObject({ id, code: 'validation_failed' })
    channel.end()
    await once(child, 'exit')
  })
})

describe('the node’s process', () => {
  let node: ChildProcess | undefined
  afterEach(async () => {
    if (!node) return
    node.kill('SIGTERM')
    await once(node, 'exit')
  })

  test('never holds the operator key in its memory; the signer does', async () => {
    const main = fileURLToPath(new URL('../main.ts', import.meta.url))
    const tools = join(FIXTURES, 'orien.tools.yaml')
    const rpc = ['--rpc-url', 'http://127.0.0.1:9', '--allow-unisolated', '--driver', 'process']
    node = spawn(process.execPath, [main, '--data-dir', world.dataDir, '--tools', tools, ...rpc], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {},
    })
    invariant(node.stdout && node.pid, 'the node runs')
    for await (const line of createInterface({ input: node.stdout }))
      if (JSON.parse(line).event === 'node.live') break
    const text = (await readFile(join(world.dataDir, 'operator.key'), 'utf8')).trim()
    const needles = [Buffer.from(text), Buffer.from(text, 'hex'), Buffer.from(text, 'utf16le')]
    const children = await readFile(`/proc/${node.pid}/task/${node.pid}/children`, 'utf8')
    const held = children
      .trim()
      .split(' ')
      .map((pid) => memoryHolds(Number(pid), needles))
    expect(memoryHolds(node.pid, needles)).toBe(false)
    expect(held).toContain(true)
    expect(memoryHolds(node.pid, [Buffer.from(world.dataDir)])).toBe(true)
  })
})
