import fc from 'fast-check'
import { encodeAbiParameters, hashTypedData, keccak256, stringToHex } from 'viem'
import { describe, expect, it } from 'vitest'
import { type Hex, toHex } from './bytes.ts'
import * as channel from './channel.ts'
import { type ChannelTerms, channelId, isCanonicalSignature, SECP256K1_HALF_ORDER } from './channel.ts'
import { MAX_MICROS, micros } from './money.ts'
import { makeWallet, word } from './testing/keys.ts'

const hex = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes }).map(toHex)
const amount = fc.bigInt({ min: 0n, max: MAX_MICROS }).map(micros)
const nonce = fc.bigInt({ min: 0n, max: (1n << 256n) - 1n })
const deadline = fc.integer({ min: 0, max: 2 ** 40 })
const terms: fc.Arbitrary<ChannelTerms> = fc.record({
  chainId: fc.integer({ min: 1 }),
  escrow: hex(20),
  token: hex(20),
  payer: hex(20),
  payee: hex(20),
  salt: hex(32),
  authorizedSigner: hex(20),
})

const escrowDomain = ({ chainId, escrow }: ChannelTerms) => ({
  name: 'EVM Payment Channel',
  version: '1',
  chainId,
  verifyingContract: escrow,
})

const field = (name: string, type: string) => ({ name, type })

describe('a channel’s id and nonces', () => {
  it('are those that the contract computes with abi.encode', () => {
    const addresses = [{ type: 'address' }, { type: 'address' }, { type: 'address' }] as const
    fc.assert(
      fc.property(terms, (t) => {
        const opening = [...addresses, { type: 'bytes32' }, { type: 'address' }] as const
        const values = [t.payer, t.payee, t.token, t.salt, t.authorizedSigner] as const
        expect(channel.openNonce(t)).toBe(keccak256(encodeAbiParameters(opening, values)))
        const whole = [...opening, { type: 'address' }, { type: 'uint256' }] as const
        expect(channelId(t)).toBe(
          keccak256(encodeAbiParameters(whole, [...values, t.escrow, BigInt(t.chainId)])),
        )
      }),
    )
  })

  it('of a top-up are those that the contract computes', () => {
    const types = [
      { type: 'bytes32' },
      { type: 'uint128' },
      { type: 'address' },
      { type: 'bytes32' },
    ] as const
    fc.assert(
      fc.property(hex(32), amount, hex(20), hex(32), (id, value, from, salt) => {
        expect(channel.topUpNonce(id, value, from, salt)).toBe(
          keccak256(encodeAbiParameters(types, [id, value, from, salt])),
        )
      }),
    )
  })

  it('are others as soon as one field is another', () => {
    const one: ChannelTerms = {
      chainId: 1,
      escrow: makeWallet('escrow').address,
      token: makeWallet('token').address,
      payer: makeWallet('payer').address,
      payee: makeWallet('payee').address,
      salt: word('salt'),
      authorizedSigner: makeWallet('signer').address,
    }
    const other: Partial<ChannelTerms>[] = [
      { chainId: 2 },
      ...(['escrow', 'token', 'payer', 'payee', 'authorizedSigner'] as const).map((name) => ({
        [name]: makeWallet('x').address,
      })),
      { salt: word('x') },
      { payer: one.payee, payee: one.payer },
    ]
    const ids = [one, ...other.map((change) => ({ ...one, ...change }))].map(channelId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('have a salt that follows from the session alone', () => {
    expect(channel.sessionSalt('ses_1')).toBe(keccak256(stringToHex('orien session ses_1')))
    expect(channel.sessionSalt('ses_1')).not.toBe(channel.sessionSalt('ses_2'))
  })
})

describe('what is signed', () => {
  it('a voucher has the digest of viem', () => {
    const types = { Voucher: [field('channelId', 'bytes32'), field('cumulativeAmount', 'uint128')] }
    fc.assert(
      fc.property(terms, hex(32), amount, (t, id, cumulativeAmount) => {
        const message = { channelId: id, cumulativeAmount }
        expect(channel.voucherDigest(t, id, cumulativeAmount)).toBe(
          hashTypedData({ domain: escrowDomain(t), types, primaryType: 'Voucher', message }),
        )
      }),
    )
  })

  it('a claim has the digest of viem, another one for each kind', () => {
    const members = [
      field('channelId', 'bytes32'),
      field('claimAmount', 'uint128'),
      field('nonce', 'uint256'),
      field('deadline', 'uint256'),
    ]
    fc.assert(
      fc.property(terms, hex(32), amount, nonce, deadline, (t, id, claimMicros, claimNonce, until) => {
        const claim = { channelId: id, claimMicros, nonce: claimNonce, deadline: until }
        const message = {
          channelId: id,
          claimAmount: claimMicros,
          nonce: claimNonce,
          deadline: BigInt(until),
        }
        for (const kind of ['Claim', 'ClaimAndClose'] as const) {
          expect(channel.claimDigest(t, kind, claim)).toBe(
            hashTypedData({
              domain: escrowDomain(t),
              types: { [kind]: members },
              primaryType: kind,
              message,
            }),
          )
        }
        expect(channel.claimDigest(t, 'Claim', claim)).not.toBe(
          channel.claimDigest(t, 'ClaimAndClose', claim),
        )
      }),
    )
  })

  it('a batch of claims has the digest of viem, another one for each kind', () => {
    const members = [field('payee', 'address'), field('claims', 'BatchClaim[]'), field('deadline', 'uint256')]
    const claim = [field('channelId', 'bytes32'), field('claimAmount', 'uint128')]
    const list = fc.array(fc.tuple(hex(32), amount), { maxLength: 10 })
    fc.assert(
      fc.property(terms, hex(20), list, deadline, (t, payee, pairs, until) => {
        const claims = pairs.map(([id, claimMicros]) => ({ channelId: id, claimMicros }))
        const message = {
          payee,
          claims: pairs.map(([id, claimAmount]) => ({ channelId: id, claimAmount })),
          deadline: BigInt(until),
        }
        const digests = (['ClaimBatch', 'CloseBatch'] as const).map((kind) => {
          const digest = channel.batchDigest(t, kind, { payee, claims, deadline: until })
          const types = { [kind]: members, BatchClaim: claim }
          expect(digest).toBe(hashTypedData({ domain: escrowDomain(t), types, primaryType: kind, message }))
          return digest
        })
        expect(new Set(digests).size).toBe(2)
      }),
    )
  })

  it('a close request has the digest of viem', () => {
    const types = {
      RequestClose: [field('channelId', 'bytes32'), field('nonce', 'uint256'), field('deadline', 'uint256')],
    }
    fc.assert(
      fc.property(terms, hex(32), nonce, deadline, (t, id, value, until) => {
        const message = { channelId: id, nonce: value, deadline: BigInt(until) }
        expect(channel.requestCloseDigest(t, id, value, until)).toBe(
          hashTypedData({ domain: escrowDomain(t), types, primaryType: 'RequestClose', message }),
        )
      }),
    )
  })

  it('an operator’s permission has the digest of viem', () => {
    const types = {
      SetOperator: [
        field('owner', 'address'),
        field('operator', 'address'),
        field('allowed', 'bool'),
        field('nonce', 'uint256'),
        field('deadline', 'uint256'),
      ],
    }
    const permission = fc.record({
      owner: hex(20),
      operator: hex(20),
      allowed: fc.boolean(),
      nonce,
      deadline,
    })
    fc.assert(
      fc.property(terms, permission, (t, given) => {
        const message = { ...given, deadline: BigInt(given.deadline) }
        expect(channel.setOperatorDigest(t, given)).toBe(
          hashTypedData({ domain: escrowDomain(t), types, primaryType: 'SetOperator', message }),
        )
      }),
    )
  })

  it('a deposit has the digest of viem for the token’s own domain', () => {
    const types = {
      ReceiveWithAuthorization: [
        field('from', 'address'),
        field('to', 'address'),
        field('value', 'uint256'),
        field('validAfter', 'uint256'),
        field('validBefore', 'uint256'),
        field('nonce', 'bytes32'),
      ],
    }
    fc.assert(
      fc.property(
        terms,
        amount,
        deadline,
        deadline,
        hex(32),
        (t, valueMicros, validAfter, validBefore, depositNonce) => {
          const given = {
            token: t.token,
            tokenName: 'USDC',
            tokenVersion: '2',
            chainId: t.chainId,
            from: t.payer,
            escrow: t.escrow,
            valueMicros,
            validAfter,
            validBefore,
            nonce: depositNonce,
          }
          const domain = { name: 'USDC', version: '2', chainId: t.chainId, verifyingContract: t.token }
          const message = {
            from: t.payer,
            to: t.escrow,
            value: valueMicros,
            validAfter: BigInt(validAfter),
            validBefore: BigInt(validBefore),
            nonce: depositNonce,
          }
          expect(channel.depositDigest(given)).toBe(
            hashTypedData({ domain, types, primaryType: 'ReceiveWithAuthorization', message }),
          )
        },
      ),
    )
  })
})

describe('a signature in its one accepted form', () => {
  const signature = (s: bigint, v: string) =>
    `0x${'11'.repeat(32)}${s.toString(16).padStart(64, '0')}${v}` as Hex

  it('has a low s and 27 or 28 for v', () => {
    expect(isCanonicalSignature(signature(1n, '1b'))).toBe(true)
    expect(isCanonicalSignature(signature(SECP256K1_HALF_ORDER, '1c'))).toBe(true)
  })

  const others: [string, Hex][] = [
    ['a high s', signature(SECP256K1_HALF_ORDER + 1n, '1b')],
    ['no s', signature(0n, '1b')],
    ['v of 0', signature(1n, '00')],
    ['v of 1', signature(1n, '01')],
    ['v of 29', signature(1n, '1d')],
    ['a compact form of 64 bytes', signature(1n, '1b').slice(0, 130) as Hex],
    ['a byte more', `${signature(1n, '1b')}00` as Hex],
    ['nothing', '0x'],
  ]
  it.each(others)('has not %s', (_, text) => {
    expect(isCanonicalSignature(text)).toBe(false)
  })
})
