import { orienEscrowBytecode } from '@orien/contracts'
import { deriveEscrowAddress, ESCROW_FACTORY } from '@orien/protocol'
import fc from 'fast-check'
import { type Address, getAddress } from 'viem'
import { expect, test } from 'vitest'
import { escrowDeployment } from './escrowDeployment.ts'

const addresses = fc
  .uint8Array({ minLength: 20, maxLength: 20 })
  .map((bytes) => getAddress(`0x${Buffer.from(bytes).toString('hex')}`) as Address)

test('an escrow’s address, which agents compute by themselves, is where the factory puts it', () => {
  const terms = fc.record({
    token: addresses,
    platform: addresses,
    reserve: addresses,
    closeGraceSeconds: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
  })
  const property = fc.property(terms, (each) => {
    const { address, call } = escrowDeployment(each)
    expect(deriveEscrowAddress(orienEscrowBytecode, each)).toBe(address.toLowerCase())
    expect(call.to.toLowerCase()).toBe(ESCROW_FACTORY)
  })
  fc.assert(property, { numRuns: 20 })
})
