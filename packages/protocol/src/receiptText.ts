import { FAILURE_REASONS } from './execution.ts'
import { isolationClass } from './offer.ts'
import type { Receipt } from './receiptSchema.ts'

/** A member: how its text looks, and what the captured part of it means; that part itself unless told. */
type Member<Value> = { pattern: string; read?: (text: string) => Value; isOptional?: boolean }
type Members = { [Name in keyof Receipt]-?: Member<Exclude<Receipt[Name], undefined>> }

const HEX_64 = '[0-9a-f]{64}'
/** Fifteen digits are always a safe integer, and eighteen always an amount. */
const WHOLE = '(?:0|[1-9]\\d{0,14})'
const COUNTED = '[1-9]\\d{0,14}'
const FILE = `\\{"bytes":${WHOLE},"name":"[ !#-\\[\\]-~]{0,512}","sha256":"${HEX_64}"\\}`
const SOURCE = '"(?:cgroup|helper|node)"'
/** 29 February is left to the schema. */
const DAY = '(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)'
const INSTANT = `\\d{4}-${DAY}T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d\\.\\d{3}Z`

const text = (pattern: string) => ({ pattern: `"(${pattern})"` })
const id = (prefix: string) => text(`${prefix}_[0-9a-hjkmnp-tv-z]{26}`)
const oneOf = (values: readonly string[]) => text(values.join('|').replaceAll('+', '\\+'))
const number = (pattern: string) => ({ pattern: `(${pattern})`, read: Number })
const optional = <M>(member: M) => ({ ...member, isOptional: true })
const micros = {
  pattern: '"(0|[1-9]\\d{0,17})"',
  read: (found: string) => BigInt(found) as Receipt['costMicros'],
}
const files = (most: number) => ({
  pattern: `(\\[(?:${FILE}(?:,${FILE}){0,${most - 1}})?\\])`,
  read: (found: string) => JSON.parse(found) as Receipt['inputs'],
})

const MEMBERS: Members = {
  v: { pattern: '(1)', read: () => 1 },
  executionId: id('exe'),
  sessionId: id('ses'),
  providerId: id('prv'),
  channelId: text(`0x${HEX_64}`),
  sequence: number(COUNTED),
  previous: text(HEX_64),
  grant: number(COUNTED),
  tool: text('[a-z][a-z0-9_]{0,63}'),
  manifestHash: text(HEX_64),
  argumentsHash: text(HEX_64),
  inputs: files(100),
  outputs: files(1_000),
  logHash: text(HEX_64),
  logBytes: number(WHOLE),
  isolation: oneOf(isolationClass.options),
  startedAt: text(INSTANT),
  endedAt: text(INSTANT),
  effectiveMs: number(WHOLE),
  cpuMs: number(WHOLE),
  maxRssBytes: number(WHOLE),
  readBytes: optional(number(WHOLE)),
  writtenBytes: optional(number(WHOLE)),
  sources: {
    pattern: `(\\{"cpu":${SOURCE},(?:"io":${SOURCE},)?"memory":${SOURCE},"wall":${SOURCE}\\})`,
    read: JSON.parse,
  },
  exitCode: { pattern: `(null|-?${COUNTED}|0)`, read: JSON.parse },
  status: oneOf(['completed', 'failed']),
  reason: optional(oneOf(FAILURE_REASONS)),
  rateMicrosPerMinute: micros,
  holdMicros: micros,
  deadlineMs: number(COUNTED),
  costMicros: micros,
  cumulativeMicros: micros,
}

/** In the order of RFC 8785, which is that of `sort`; the first is not optional. */
const ORDERED = Object.entries<Member<unknown>>(MEMBERS).sort(([a], [b]) => (a < b ? -1 : 1))
const FORM = new RegExp(
  `^\\{${ORDERED.map(([name, { pattern, isOptional }], index) => {
    const member = `${index > 0 ? ',' : ''}"${name}":${pattern}`
    return isOptional ? `(?:${member})?` : member
  }).join('')}\\}$`,
)
const SLOTS = ORDERED.map(([name, { read }], index) => ({ name, read, index: index + 1 }))

/**
 * Reads a receipt from its canonical JSON in one pass, several times as fast as parsing it, comparing it and checking
 * it by the schema. It knows the plain receipts; whatever it does not know may still be one, and the schema decides.
 *
 * @returns undefined for any text that is not as plain as that
 */
export function readPlainReceipt(text: string): Receipt | undefined {
  const found = FORM.exec(text)
  if (!found) return undefined
  const value: Record<string, unknown> = {}
  for (const { name, read, index } of SLOTS) {
    const piece = found[index]
    if (piece !== undefined) value[name] = read ? read(piece) : piece
  }
  // The pattern is what makes it one.
  return value as Receipt
}
