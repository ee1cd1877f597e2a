import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Bill, parseBill, printBill, verifyBill } from './bill.ts'
import { base64url, fromBase64url, utf8 } from './bytes.ts'
import { canonicalJson, type Json } from './canonicalJson.ts'
import { factsOf, makeBill, makeCast, paymentOf, refunded } from './testing/bill.ts'
import { crypto, digest, makeWallet, strangeKey, word } from './testing/keys.ts'

const cast = makeCast('mutation')
const owed = refunded(cast, makeBill(cast))
const good = { ...owed, refundPayments: [paymentOf(owed)] }
const facts = factsOf(good)
const tree = JSON.parse(printBill(good)) as Json

type Path = readonly (string | number)[]
type Mutant = { path: Path; how: string; value: Json | undefined }

/** Every place in a JSON value, containers included. */
function* places(value: Json, path: Path = []): Generator<{ path: Path; value: Json }> {
  if (path.length > 0) yield { path, value }
  if (value === null || typeof value !== 'object') return
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) continue
    yield* places(member as Json, [...path, Array.isArray(value) ? Number(key) : key])
  }
}

/** A copy with one place replaced; `undefined` removes it. */
function replace(value: Json, [key, ...rest]: Path, put: Json | undefined): Json {
  if (key === undefined) return put ?? null
  if (Array.isArray(value)) {
    const items: Json[] = [...value]
    if (rest.length === 0 && put === undefined) items.splice(Number(key), 1)
    else items[Number(key)] = replace(items[Number(key)] ?? null, rest, put)
    return items
  }
  const record = { ...(value as Record<string, Json | undefined>) }
  if (rest.length === 0 && put === undefined) delete record[key]
  else record[key] = replace(record[key] ?? null, rest, put)
  return record
}

/** A compact JWS with one member of its payload changed and the old signature kept. */
function changePayload(jws: string): string {
  const [header = '', payload = '', signature = ''] = jws.split('.')
  const text = new TextDecoder().decode(fromBase64url(payload) ?? new Uint8Array())
  const members = { ...(JSON.parse(text) as Record<string, Json>), v: 2 }
  return `${header}.${base64url(utf8(canonicalJson(members)))}.${signature}`
}

function flipLast(text: string): string {
  return text.slice(0, -1) + (text.endsWith('1') ? '2' : '1')
}

/** Other values of the same kind, as plausible as can be, so that it is not only the form that refuses them. */
function* alternatives(value: Json): Generator<{ how: string; value: Json }> {
  if (typeof value === 'number') {
    yield { how: 'one more', value: value + 1 }
    yield { how: 'negative', value: -value }
    yield { how: 'a fraction', value: value + 0.5 }
  }
  if (typeof value !== 'string') return
  yield { how: 'the last character', value: flipLast(value) }
  yield { how: 'empty', value: '' }
  if (/^\d+$/.test(value)) yield { how: 'one more', value: String(BigInt(value) + 1n) }
  if (/^0x[0-9a-f]{40}$/.test(value)) yield { how: 'another wallet', value: makeWallet('thief').address }
  if (/^0x[0-9a-f]{64}$/.test(value)) yield { how: 'another word', value: word('thief') }
  if (/^[0-9a-f]{64}$/.test(value)) yield { how: 'another hash', value: digest('thief') }
  if (/^[\w-]{43}$/.test(value)) yield { how: 'another key', value: strangeKey(7) }
  if (value.split('.').length === 3) {
    yield { how: 'its payload', value: changePayload(value) }
    yield { how: 'its signature', value: value.replace(/\.[^.]*$/, `.${base64url(new Uint8Array(64))}`) }
    yield { how: 'no signature', value: value.replace(/\.[^.]*$/, '.') }
  }
}

function* mutants(): Generator<Mutant> {
  const all = [...places(tree)]
  for (const place of all) {
    // The bill as it was before its refund was paid: true as well.
    if (place.path.join() !== 'refundPayments') yield { path: place.path, how: 'removed', value: undefined }
    yield { path: place.path, how: 'null', value: null }
    for (const { how, value } of alternatives(place.value)) yield { path: place.path, how, value }
    // Swapped: what stands elsewhere in the same bill, where it is of the same kind and true.
    for (const other of all) {
      const same = typeof other.value === 'string' && typeof place.value === 'string'
      if (same && other.value !== place.value && other.path !== place.path) {
        yield { path: place.path, how: `that of ${other.path.join('.')}`, value: other.value }
      }
    }
    if (place.value !== null && typeof place.value === 'object' && !Array.isArray(place.value)) {
      yield { path: place.path, how: 'a member more', value: { ...place.value, extra: 1 } }
    }
  }
}

function judge(json: Json): { verdict: string; line: string | undefined } {
  const parsed = parseBill(`${canonicalJson(json)}\n`)
  if (!parsed.ok) return { verdict: 'rejected', line: parsed.failure.line }
  const { verdict, failure } = verifyBill(parsed.bill, crypto, { facts })
  return { verdict, line: failure?.line }
}

/** The lines that may be named for a change at a place: itself, what contains it, or what it is compared with. */
const COMPARED: Record<string, readonly string[]> = {
  sessionId: ['channel.salt', 'receipts[0].binding'],
  'channel.chainId': ['offer.chain'],
  'channel.escrow': ['offer.chain'],
  'channel.token': ['offer.chain'],
  'channel.payer': ['receipts[0].binding'],
  'channel.authorizedSigner': ['receipts[0].binding'],
  'registration.registration': ['registration.signature'],
  'registration.signature': ['registration.signature'],
  depositMicros: ['settlement.refundedMicros'],
  'voucher.cumulativeMicros': ['voucher.signature'],
  coordinatorKey: ['countersignature'],
  offer: ['offer'],
  consumedMicros: ['consumedMicros'],
  settlement: ['settlement', 'refunds.settlement'],
  refunds: ['refundPayments'],
}

function isNamed(path: Path, line: string): boolean {
  const dotted = path.join('.')
  const bracketed = dotted.replace(/^(receipts|refundPayments)\.(\d+)/, '$1[$2]')
  if (line === 'bill' || dotted.startsWith(line) || line.startsWith(bracketed)) return true
  if (dotted.startsWith('receipts') && (line.startsWith('receipts[') || line === 'countersignature'))
    return true
  if (dotted.startsWith('refundPayments') && line.startsWith('refundPayments[')) return true
  if (dotted.startsWith('registration') && line.startsWith('registration')) return true
  return Object.entries(COMPARED).some(([start, lines]) => dotted.startsWith(start) && lines.includes(line))
}

describe('a bill with any one field altered, removed or swapped', () => {
  const survivors: string[] = []
  const misnamed: string[] = []
  let tried = 0
  for (const { path, how, value } of mutants()) {
    tried += 1
    const { verdict, line } = judge(replace(tree, path, value))
    if (verdict !== 'rejected') survivors.push(`${path.join('.')}: ${how}`)
    else if (line === undefined || !isNamed(path, line)) misnamed.push(`${path.join('.')}: ${how} → ${line}`)
  }

  it('is rejected, whichever field it is', () => {
    expect(tried).toBeGreaterThan(1_000)
    expect(survivors).toEqual([])
  })

  it('is rejected at a line that names the place', () => {
    expect(misnamed).toEqual([])
  })

  it('is verified when nothing was changed, so the walker does not reject by itself', () => {
    expect(judge(tree)).toEqual({ verdict: 'verified', line: undefined })
  })

  it('is rejected with any one character of its text changed', () => {
    const text = printBill(good)
    const character = fc.record({
      at: fc.nat(text.length - 2),
      put: fc.constantFrom('0', '1', 'a', 'A', '"', ' '),
    })
    fc.assert(
      fc.property(character, ({ at, put }) => {
        fc.pre(text[at] !== put)
        const parsed = parseBill(text.slice(0, at) + put + text.slice(at + 1))
        expect(parsed.ok && verifyBill(parsed.bill, crypto, { facts }).verdict).not.toBe('verified')
      }),
      { numRuns: 80 },
    )
  })
})

describe('a bill that is not settled yet', () => {
  const { settlement: _, refunds: __, refundPayments: ___, ...open } = good
  const pending: Bill = open

  it('is consistent in itself', () => {
    expect(verifyBill(pending, crypto).verdict).toBe('consistent')
  })

  it('is not verified by a chain that has not closed its channel', () => {
    const given = facts.channel && { ...facts.channel, finalized: false }
    const { failure } = verifyBill(pending, crypto, {
      facts: { channel: given, settlement: null, refundPayments: [] },
    })
    expect(failure?.line).toBe('settlement')
  })
})
