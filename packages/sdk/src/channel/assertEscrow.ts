import { orienEscrowAbi, orienEscrowBytecode } from '@orien/contracts'
import {
  type ChannelTerms,
  deriveEscrowAddress,
  type EscrowConstruction,
  type Hex,
  OrienError,
} from '@orien/protocol'
import { askChain, assertChain, chainClient } from './chainClient.ts'

type Place = Pick<ChannelTerms, 'chainId' | 'escrow' | 'token'>

/** Escrows that were found genuine: what they are made of cannot change. */
const MAX_KEPT = 64
const genuine = new Set<string>()

/**
 * Makes sure that what stands at an escrow's address is the contract of this version, for this token: its address
 * follows from its code and terms, so nobody can put another one there. Asked once per endpoint and escrow.
 *
 * @throws OrienError `signature_invalid` when it is another contract; `chain_unavailable`
 */
export async function assertEscrow(rpcUrl: string, place: Place): Promise<void> {
  const key = `${rpcUrl} ${place.chainId} ${place.escrow} ${place.token}`
  if (genuine.has(key)) return
  await assertChain(rpcUrl, place.chainId)
  const isGenuine = await askChain(() => isOfThisVersion(rpcUrl, place))
  if (!isGenuine) {
    const hint =
      'Pay nothing into it: whoever named it could keep the money. Use another coordinator or provider.'
    throw new OrienError('signature_invalid', `the contract at ${place.escrow} is not ORIEN’s escrow`, {
      hint,
    })
  }
  if (genuine.size < MAX_KEPT) genuine.add(key)
}

async function isOfThisVersion(rpcUrl: string, { escrow, token }: Place): Promise<boolean> {
  const client = await chainClient(rpcUrl)
  const code = await client.getCode({ address: escrow })
  if (code === undefined) return false
  const call = { address: escrow, abi: orienEscrowAbi } as const
  const [ownToken, platform, reserve, grace] = await Promise.all([
    client.readContract({ ...call, functionName: 'token' }).catch(noAnswer),
    client.readContract({ ...call, functionName: 'platform' }).catch(noAnswer),
    client.readContract({ ...call, functionName: 'reserve' }).catch(noAnswer),
    client.readContract({ ...call, functionName: 'CLOSE_GRACE_PERIOD' }).catch(noAnswer),
  ])
  if (!ownToken || !platform || !reserve || !grace || ownToken.toLowerCase() !== token) return false
  const terms = { token, platform, reserve, closeGraceSeconds: grace }
  return escrowAddress(terms) === escrow.toLowerCase()
}

/**
 * Where the escrow of this version with these terms stands, on every chain. See {@link deriveEscrowAddress}.
 *
 * @returns in lower case
 */
export const escrowAddress = (terms: EscrowConstruction): Hex =>
  deriveEscrowAddress(orienEscrowBytecode, terms)

/** What viem calls an answer that is not one of the escrow's. */
const NOT_OURS =
  /^(ContractFunction(Reverted|ZeroData)|AbiDecoding|InvalidBytes|PositionOutOfBounds|InvalidAddress)/

/** A contract that answers otherwise is another one; an endpoint that does not answer says nothing. */
function noAnswer(error: Error): null {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (NOT_OURS.test(cause.name)) return null
  }
  throw error
}
