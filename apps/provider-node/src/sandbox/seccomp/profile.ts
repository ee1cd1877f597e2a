import type { Processor } from './filter.ts'
import { type Condition, RULES, type Rule } from './rules.ts'

/** One argument check of an engine's profile, https://docs.docker.com/engine/security/seccomp/. */
type Check = { index: number; value: number; valueTwo?: number; op: string }
type Entry = { names: string[]; action: 'SCMP_ACT_ERRNO'; errnoRet: number; args?: Check[] }

/** The rules of {@link RULES} in the form that container engines take. */
export type SeccompProfile = {
  defaultAction: 'SCMP_ACT_ALLOW'
  architectures: string[]
  syscalls: Entry[]
}

const ARCHITECTURES: Record<Processor, string> = { x64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' }
const WORD_BITS = 32

const bitsOf = (mask: number): number[] =>
  Array.from({ length: WORD_BITS }, (_, bit) => (2 ** bit) & mask).flatMap((bit) => (bit ? [bit >>> 0] : []))

/** The alternatives of one condition: engines know no "any of these bits", so each bit is one. */
function checksOf(condition: Condition): Check[] {
  const index = condition.arg
  if (condition.test === 'anyBit')
    return bitsOf(condition.mask).map((bit) => ({
      index,
      value: bit,
      valueTwo: bit,
      op: 'SCMP_CMP_MASKED_EQ',
    }))
  // The kernel reads 32 bits of these arguments, so only those are compared.
  if (condition.test === 'equals')
    return [{ index, value: 0xffff_ffff, valueTwo: condition.value >>> 0, op: 'SCMP_CMP_MASKED_EQ' }]
  return [{ index, value: condition.value >>> 0, op: 'SCMP_CMP_NE' }]
}

const combine = (conditions: readonly Condition[]): Check[][] =>
  conditions.reduce<Check[][]>(
    (so, condition) => so.flatMap((checks) => checksOf(condition).map((check) => [...checks, check])),
    [[]],
  )

function entriesOf({ name, errno, refuseWhen }: Rule): Entry[] {
  const entry = { names: [name], action: 'SCMP_ACT_ERRNO' as const, errnoRet: errno }
  if (!refuseWhen) return [entry]
  return refuseWhen.flatMap((conditions) => combine(conditions).map((args) => ({ ...entry, args })))
}

/** What an engine is told to refuse inside a container: the same calls as in a sandbox of bubblewrap. */
export function seccompProfile(processor: Processor): SeccompProfile {
  return {
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: [ARCHITECTURES[processor]],
    syscalls: RULES.filter((rule) => rule[processor] !== undefined).flatMap(entriesOf),
  }
}
