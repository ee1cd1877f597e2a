import { invariant } from '@orien/protocol'
import { type Condition, LAST_KNOWN_CALL, RULES, type Rule } from './rules.ts'

/** Processors that a filter can be made for, named as Node names them. */
export type Processor = 'x64' | 'arm64'

/** One instruction of classic BPF, https://www.kernel.org/doc/html/latest/networking/filter.html. */
export type Instruction = { code: number; whenTrue: number; whenFalse: number; value: number }

const LOAD_WORD = 0x20
const JUMP_EQUAL = 0x15
const JUMP_GREATER_OR_EQUAL = 0x35
const JUMP_ANY_BIT = 0x45
const RETURN = 0x06

const ALLOW = 0x7fff_0000
const KILL_PROCESS = 0x8000_0000
const ERRNO = 0x0005_0000
const ENOSYS = 38

/** AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64: any other calling convention kills the process. */
const ARCHITECTURE: Record<Processor, number> = { x64: 0xc000_003e, arm64: 0xc000_00b7 }
/** Calls of the x32 convention carry this bit under the x86-64 architecture. */
const X32_BIT = 0x4000_0000
const CALL_OFFSET = 0
const ARCHITECTURE_OFFSET = 4
const FIRST_ARGUMENT_OFFSET = 16
const INSTRUCTION_BYTES = 8
const MAX_JUMP = 255

const load = (value: number): Instruction => ({ code: LOAD_WORD, whenTrue: 0, whenFalse: 0, value })
const answer = (value: number): Instruction => ({ code: RETURN, whenTrue: 0, whenFalse: 0, value })
const jump = (code: number, value: number, whenTrue: number, whenFalse: number): Instruction => {
  invariant(whenTrue <= MAX_JUMP && whenFalse <= MAX_JUMP, 'a BPF jump fits its byte')
  return { code, whenTrue, whenFalse, value: value >>> 0 }
}

/** Falls through when the condition holds, else skips `skip` instructions. */
function check(condition: Condition, skip: number): Instruction[] {
  const argument = load(FIRST_ARGUMENT_OFFSET + 8 * condition.arg)
  if (condition.test === 'anyBit') return [argument, jump(JUMP_ANY_BIT, condition.mask, 0, skip)]
  if (condition.test === 'equals') return [argument, jump(JUMP_EQUAL, condition.value, 0, skip)]
  return [argument, jump(JUMP_EQUAL, condition.value, skip, 0)]
}

function refuseIfAll(conditions: readonly Condition[], errno: number): Instruction[] {
  let body = [answer(ERRNO | errno)]
  for (const condition of conditions.toReversed()) body = [...check(condition, body.length), ...body]
  return body
}

function assembleRule(call: number, rule: Rule): Instruction[] {
  const body = rule.refuseWhen
    ? [...rule.refuseWhen.flatMap((conditions) => refuseIfAll(conditions, rule.errno)), answer(ALLOW)]
    : [answer(ERRNO | rule.errno)]
  return [jump(JUMP_EQUAL, call, 0, body.length), ...body]
}

/** The filter's instructions for one processor. */
export function assembleFilter(processor: Processor, refused: readonly Rule[] = RULES): Instruction[] {
  const guards = [
    load(ARCHITECTURE_OFFSET),
    jump(JUMP_EQUAL, ARCHITECTURE[processor], 1, 0),
    answer(KILL_PROCESS),
    load(CALL_OFFSET),
    ...(processor === 'x64' ? [jump(JUMP_GREATER_OR_EQUAL, X32_BIT, 0, 1), answer(ERRNO | 1)] : []),
    jump(JUMP_GREATER_OR_EQUAL, LAST_KNOWN_CALL + 1, 0, 1),
    answer(ERRNO | ENOSYS),
  ]
  const rules = refused.flatMap((rule) => {
    const call = rule[processor]
    return call === undefined ? [] : assembleRule(call, rule)
  })
  return [...guards, ...rules, answer(ALLOW)]
}

/** The filter as the kernel reads it (`struct sock_filter[]`, little-endian as both processors are). */
export function seccompFilter(processor: Processor, refused: readonly Rule[] = RULES): Uint8Array {
  const instructions = assembleFilter(processor, refused)
  const bytes = new Uint8Array(instructions.length * INSTRUCTION_BYTES)
  const view = new DataView(bytes.buffer)
  instructions.forEach(({ code, whenTrue, whenFalse, value }, index) => {
    const at = index * INSTRUCTION_BYTES
    view.setUint16(at, code, true)
    view.setUint8(at + 2, whenTrue)
    view.setUint8(at + 3, whenFalse)
    view.setUint32(at + 4, value, true)
  })
  return bytes
}
