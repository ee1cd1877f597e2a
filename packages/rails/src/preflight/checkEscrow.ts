import { orienEscrowAbi } from '@orien/contracts'
import { escrowDomain, domainSeparator as expectedSeparator } from '@orien/protocol'
import { type Address, domainSeparator, isAddressEqual, padHex } from 'viem'
import { askValue } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'
import type { EscrowTerms } from '../escrow/escrowDeployment.ts'
import { readEscrowTerms } from '../escrow/readEscrowTerms.ts'
import { compareCode } from './compareCode.ts'
import { type ChainFinding, fault, ok } from './finding.ts'

const CHECK = 'escrow'

/** What an escrow has to be: the token alone, or all that it was deployed with. */
export type ExpectedTerms = { token: Address } & Partial<EscrowTerms>

/** Whether what stands at an address is the escrow of this source, with the terms that are meant. */
export async function checkEscrow(
  client: ChainClient,
  escrow: Address,
  expected: ExpectedTerms,
): Promise<ChainFinding[]> {
  const code = await askValue(client.getCode({ address: escrow }))
  if (code.status === 'unreachable') return [fault(CHECK, 'rpc_unreachable', code.detail)]
  if (code.value === undefined) return [fault(CHECK, 'escrow_missing', `no contract at ${escrow}`)]
  const immutables = compareCode(code.value)
  if (immutables === null) {
    return [fault(CHECK, 'escrow_code_differs', `the code at ${escrow} is not that of this version`)]
  }
  const reading = await readEscrowTerms(client, escrow)
  if (reading.status === 'unreachable') return [fault(CHECK, 'rpc_unreachable', reading.detail)]
  const { terms } = reading
  // What the getters say has to be what the code works with.
  const held = new Set(immutables)
  const said = [terms.token, terms.platform, terms.reserve].map((address) => padHex(address, { size: 32 }))
  if (!said.every((word) => held.has(word.toLowerCase() as Address))) {
    return [fault(CHECK, 'escrow_code_differs', `the code at ${escrow} holds other terms than it tells`)]
  }
  if (reading.status === 'other') return [compareTerms(terms, expected), unprovable(escrow)]
  return [
    ok(CHECK, `${escrow} has the code of this version`),
    compareTerms(terms, expected),
    await checkDomain(client, escrow),
  ]
}

/** Agents pay into what they can prove, and from the code alone they cannot: an immutable value may be anything. */
const unprovable = (escrow: Address) =>
  fault(
    CHECK,
    'escrow_code_differs',
    `the address ${escrow} does not follow from code and terms, so agents refuse it`,
  )

function compareTerms(terms: EscrowTerms, expected: ExpectedTerms): ChainFinding {
  if (!isAddressEqual(terms.token, expected.token)) {
    return fault(CHECK, 'escrow_token_differs', `it takes ${terms.token}, and the token is ${expected.token}`)
  }
  const {
    platform = terms.platform,
    reserve = terms.reserve,
    closeGraceSeconds = terms.closeGraceSeconds,
  } = expected
  const differing = [
    ...(isAddressEqual(terms.platform, platform) ? [] : [`platform ${terms.platform}, not ${platform}`]),
    ...(isAddressEqual(terms.reserve, reserve) ? [] : [`reserve ${terms.reserve}, not ${reserve}`]),
    ...(terms.closeGraceSeconds === closeGraceSeconds
      ? []
      : [`a grace period of ${terms.closeGraceSeconds} s, not ${closeGraceSeconds}`]),
  ]
  if (differing.length > 0) return fault(CHECK, 'escrow_terms_differ', `it has ${differing.join(', ')}`)
  return ok(
    CHECK,
    `pays platform ${terms.platform} and reserve ${terms.reserve}, closes after ${terms.closeGraceSeconds} s`,
  )
}

/** What agents, providers and their wallets sign for, computed here, against what the contract says of itself. */
async function checkDomain(client: ChainClient, escrow: Address): Promise<ChainFinding> {
  const call = { address: escrow, abi: orienEscrowAbi, functionName: 'eip712Domain' } as const
  const [told, chain] = await Promise.all([
    askValue(client.readContract(call)),
    askValue(client.getChainId()),
  ])
  if (told.status === 'unreachable') return fault(CHECK, 'rpc_unreachable', told.detail)
  if (chain.status === 'unreachable') return fault(CHECK, 'rpc_unreachable', chain.detail)
  const [, name, version, chainId, verifyingContract] = told.value
  const separator = domainSeparator({
    domain: { name, version, chainId: Number(chainId), verifyingContract },
  })
  const signed = expectedSeparator(escrowDomain(chain.value, escrow))
  if (separator === signed) return ok(CHECK, `its signing domain is ${name}, version ${version}`)
  const said = `${name}, version ${version}, chain ${chainId}, contract ${verifyingContract}`
  return fault(CHECK, 'escrow_domain_differs', `it says that it is signed for as ${said}`)
}
