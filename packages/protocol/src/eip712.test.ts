import fc from 'fast-check'
import { domainSeparator as domainSeparatorOfViem, encodeAbiParameters, hashTypedData, keccak256 } from 'viem'
import { describe, expect, it } from 'vitest'
import { type Hex, toHex } from './bytes.ts'
import {
  addressWord,
  boolWord,
  bytes32Word,
  domainSeparator,
  encodeWords,
  hashWords,
  stringWord,
  type TypedDomain,
  typedDigest,
  uintWord,
} from './eip712.ts'
import { InvariantViolation } from './invariant.ts'

const hex = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes }).map(toHex)
const uint = fc.bigInt({ min: 0n, max: (1n << 256n) - 1n })
const domain = fc.record({
  name: fc.string({ unit: 'grapheme' }),
  version: fc.string(),
  chainId: fc.nat(),
  verifyingContract: hex(20),
})

/** viem derives the type from the domain's own fields. */
const separatorByViem = (given: TypedDomain) =>
  domainSeparatorOfViem({
    domain: given as { name: string; version: string; chainId: number; verifyingContract: Hex },
  })

describe('abi.encode of static words', () => {
  it('is that of viem for any values', () => {
    fc.assert(
      fc.property(hex(20), hex(32), uint, fc.boolean(), (address, word, value, flag) => {
        const ours = encodeWords([addressWord(address), bytes32Word(word), uintWord(value), boolWord(flag)])
        const types = [
          { type: 'address' },
          { type: 'bytes32' },
          { type: 'uint256' },
          { type: 'bool' },
        ] as const
        expect(toHex(ours)).toBe(encodeAbiParameters(types, [address, word, value, flag]))
      }),
    )
  })

  it('is hashed by Keccak-256', () => {
    fc.assert(
      fc.property(uint, (value) => {
        expect(hashWords([uintWord(value)])).toBe(
          keccak256(encodeAbiParameters([{ type: 'uint256' }], [value])),
        )
      }),
    )
  })

  it('refuses an integer that has no word: that would be our own mistake', () => {
    expect(() => encodeWords([uintWord(-1n)])).toThrow(InvariantViolation)
    expect(() => encodeWords([uintWord(1n << 256n)])).toThrow(InvariantViolation)
    expect(encodeWords([])).toEqual(new Uint8Array())
  })
})

describe('a domain separator', () => {
  it('with a contract is that of viem', () => {
    fc.assert(fc.property(domain, (given) => domainSeparator(given) === separatorByViem(given)))
  })

  it('without one is that of viem', () => {
    fc.assert(
      fc.property(domain, ({ name, version, chainId }) => {
        const given = { name, version, chainId }
        expect(domainSeparator(given)).toBe(separatorByViem(given))
      }),
    )
  })
})

describe('a typed digest', () => {
  const types = {
    Mail: [
      { name: 'to', type: 'address' },
      { name: 'subject', type: 'string' },
      { name: 'id', type: 'bytes32' },
      { name: 'amount', type: 'uint256' },
      { name: 'urgent', type: 'bool' },
    ],
  } as const
  const type = 'Mail(address to,string subject,bytes32 id,uint256 amount,bool urgent)'

  it('is that of viem for any message in any domain', () => {
    const message = fc.record({
      to: hex(20),
      subject: fc.string({ unit: 'grapheme' }),
      id: hex(32),
      amount: uint,
      urgent: fc.boolean(),
    })
    fc.assert(
      fc.property(domain, message, (given, mail) => {
        const words = [
          addressWord(mail.to),
          stringWord(mail.subject),
          bytes32Word(mail.id),
          uintWord(mail.amount),
          boolWord(mail.urgent),
        ]
        const theirs = hashTypedData({ domain: given, types, primaryType: 'Mail', message: mail })
        expect(typedDigest(given, type, words)).toBe(theirs)
      }),
    )
  })

  it('is the one of the example of EIP-712', () => {
    const contract: Hex = '0xcccccccccccccccccccccccccccccccccccccccc'
    const person = (name: string, wallet: Hex) =>
      bytes32Word(
        hashWords([stringWord('Person(string name,address wallet)'), stringWord(name), addressWord(wallet)]),
      )
    const digest = typedDigest(
      { name: 'Ether Mail', version: '1', chainId: 1, verifyingContract: contract },
      'Mail(Person from,Person to,string contents)Person(string name,address wallet)',
      [
        person('Cow', '0xcd2a3d9f938e13cd947ec05abc7fe734df8dd826'),
        person('Bob', '0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'),
        stringWord('Hello, Bob!'),
      ],
    )
    expect(digest).toBe('0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2')
  })
})
