import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assembleFilter, type Processor, seccompFilter } from './filter.ts'
import { LAST_KNOWN_CALL, RULES } from './rules.ts'

const ALLOW = 0x7fff_0000
const KILL = 0x8000_0000
const errno = (number: number) => 0x0005_0000 | number
const ARCHITECTURE: Record<Processor, number> = { x64: 0xc000_003e, arm64: 0xc000_00b7 }
const PROCESSORS: Processor[] = ['x64', 'arm64']

type Call = { architecture: number; call: number; args: bigint[] }

/** A reading of classic BPF as the kernel's documentation gives it, for the four instructions that are used. */
function judge(processor: Processor, { architecture, call, args }: Call): number {
  const data = new DataView(new ArrayBuffer(64))
  data.setUint32(0, call, true)
  data.setUint32(4, architecture, true)
  args.forEach((value, index) => {
    data.setBigUint64(16 + 8 * index, BigInt.asUintN(64, value), true)
  })
  const program = assembleFilter(processor)
  let accumulator = 0
  for (let at = 0; at < program.length; at += 1) {
    const one = program[at]
    if (!one) break
    if (one.code === 0x06) return one.value
    if (one.code === 0x20) accumulator = data.getUint32(one.value, true)
    else {
      const holds =
        one.code === 0x15
          ? accumulator === one.value
          : one.code === 0x35
            ? accumulator >= one.value
            : (accumulator & one.value) !== 0
      at += holds ? one.whenTrue : one.whenFalse
    }
  }
  return -1
}

const ask = (processor: Processor, name: string, args: bigint[] = []) => {
  const call = RULES.find((rule) => rule.name === name)?.[processor]
  if (call === undefined) return undefined
  return judge(processor, { architecture: ARCHITECTURE[processor], call, args })
}

const word = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const upperBits = fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }).map((bits) => bits << 32n)

for (const processor of PROCESSORS)
  describe(`the filter for ${processor}`, () => {
    it('kills a process that calls by another processor’s convention', () => {
      fc.assert(
        fc.property(fc.nat(500), fc.integer({ min: 0, max: 0xffff_ffff }), (call, architecture) => {
          fc.pre(architecture !== ARCHITECTURE[processor])
          expect(judge(processor, { architecture, call, args: [] })).toBe(KILL)
        }),
      )
    })

    it('knows no call that Linux grew later, and none of the x32 convention', () => {
      fc.assert(
        fc.property(fc.integer({ min: LAST_KNOWN_CALL + 1, max: 0xffff_ffff }), (call) => {
          expect(judge(processor, { architecture: ARCHITECTURE[processor], call, args: [] })).not.toBe(ALLOW)
        }),
      )
    })

    it('refuses an always-refused call whatever its arguments are', () => {
      const always = RULES.filter((rule) => !rule.refuseWhen && rule[processor] !== undefined)
      fc.assert(
        fc.property(
          fc.constantFrom(...always),
          fc.array(word, { minLength: 6, maxLength: 6 }),
          (rule, args) => {
            expect(ask(processor, rule.name, args)).toBe(errno(rule.errno))
          },
        ),
      )
    })

    it('answers every call that no rule names with yes', () => {
      const named = new Set(RULES.map((rule) => rule[processor]))
      for (let call = 0; call <= LAST_KNOWN_CALL; call += 1) {
        if (named.has(call)) continue
        expect(judge(processor, { architecture: ARCHITECTURE[processor], call, args: [] })).toBe(ALLOW)
      }
    })

    it('does not name one call twice', () => {
      const numbers = RULES.flatMap((rule) => rule[processor] ?? [])
      expect(new Set(numbers).size).toBe(numbers.length)
    })

    it('reads an ioctl’s request by its low half, as the kernel does', () => {
      fc.assert(
        fc.property(upperBits, fc.constantFrom(0x5412n, 0x541cn, 0x5423n, 0x541dn), (upper, request) => {
          expect(ask(processor, 'ioctl', [0n, upper | request])).toBe(errno(1))
        }),
      )
      expect(ask(processor, 'ioctl', [0n, 0x5413n])).toBe(ALLOW)
    })

    it('opens sockets of the unix, inet and inet6 families alone', () => {
      fc.assert(
        fc.property(fc.nat(60), upperBits, (family, upper) => {
          const expected = [1, 2, 10].includes(family) ? ALLOW : errno(97)
          expect(ask(processor, 'socket', [upper | BigInt(family)])).toBe(expected)
        }),
      )
    })

    it('lets a process fork and start threads, but with no new namespace', () => {
      const thread = 0x3d_0f00n
      expect(ask(processor, 'clone', [17n])).toBe(ALLOW)
      expect(ask(processor, 'clone', [thread])).toBe(ALLOW)
      fc.assert(
        fc.property(fc.constantFrom(17, 25, 26, 27, 28, 29, 30), upperBits, (bit, upper) => {
          expect(ask(processor, 'clone', [upper | (1n << BigInt(bit)) | 17n])).toBe(errno(1))
        }),
      )
    })

    it('makes libraries fall back from the calls whose flags it cannot see', () => {
      expect(ask(processor, 'clone3')).toBe(errno(38))
      expect(ask(processor, 'openat2')).toBe(errno(38))
    })

    it('keeps PID 1 out of reach and leaves a process its own limits and priority', () => {
      expect(ask(processor, 'prlimit64', [1n])).toBe(errno(1))
      expect(ask(processor, 'prlimit64', [0n])).toBe(ALLOW)
      for (const name of ['sched_setaffinity', 'sched_setscheduler', 'sched_setparam', 'sched_setattr']) {
        expect(ask(processor, name, [1n])).toBe(errno(1))
        expect(ask(processor, name, [7n])).toBe(ALLOW)
      }
      expect(ask(processor, 'setpriority', [0n, 1n])).toBe(errno(1))
      expect(ask(processor, 'setpriority', [2n, 0n])).toBe(errno(1))
      expect(ask(processor, 'setpriority', [0n, 0n])).toBe(ALLOW)
    })

    it('lets files be made, but none with a set-id bit and nothing that is not a file', () => {
      const create = 0o101n
      expect(ask(processor, 'openat', [0n, 0n, create, 0o644n])).toBe(ALLOW)
      expect(ask(processor, 'openat', [0n, 0n, create, 0o4755n])).toBe(errno(1))
      // Without O_CREAT the mode is whatever lay in the register.
      expect(ask(processor, 'openat', [0n, 0n, 0n, 0o6777n])).toBe(ALLOW)
      expect(ask(processor, 'mknodat', [0n, 0n, 0o100644n])).toBe(ALLOW)
      for (const kind of [0o010000n, 0o020000n, 0o060000n, 0o140000n])
        expect(ask(processor, 'mknodat', [0n, 0n, kind | 0o644n])).toBe(errno(1))
      expect(ask(processor, 'fchmod', [0n, 0o1777n])).toBe(ALLOW)
      expect(ask(processor, 'fchmod', [0n, 0o2755n])).toBe(errno(1))
    })

    it('fits what the kernel takes', () => {
      expect(seccompFilter(processor).length / 8).toBe(assembleFilter(processor).length)
      expect(assembleFilter(processor).length).toBeLessThan(4_096)
    })
  })
