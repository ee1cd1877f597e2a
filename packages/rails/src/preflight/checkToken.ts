import { fiatTokenAbi } from '@orien/contracts'
import { gasToUsdc } from '@orien/protocol'
import { type Address, parseAbi, zeroHash } from 'viem'
import { ask, askValue } from '../chain/ask.ts'
import type { ChainProfile } from '../chain/chains.ts'
import type { ChainClient } from '../chain/connect.ts'
import { readGasBalance } from '../chain/readGas.ts'
import { readBalance } from '../escrow/readBalance.ts'
import { readTokenDomain } from '../escrow/readTokenDomain.ts'
import { type ChainFinding, fault, ok } from './finding.ts'

const CHECK = 'token'
const USDC_DECIMALS = 6
const decimalsAbi = parseAbi(['function decimals() view returns (uint8)'])

/** Whether the token is a USDC that deposits can be relayed of: its code, its decimals, EIP-3009, its signing domain. */
export async function checkToken(client: ChainClient, token: Address): Promise<ChainFinding[]> {
  const code = await askValue(client.getCode({ address: token }))
  if (code.status === 'unreachable') return [fault(CHECK, 'rpc_unreachable', code.detail)]
  if (code.value === undefined) return [fault(CHECK, 'token_missing', `no contract at ${token}`)]
  return Promise.all([checkDecimals(client, token), checkEip3009(client, token), checkDomain(client, token)])
}

async function checkDecimals(client: ChainClient, token: Address): Promise<ChainFinding> {
  const call = { address: token, abi: decimalsAbi, functionName: 'decimals' } as const
  const answer = await ask(client.readContract(call))
  if (answer.status === 'unreachable') return fault(CHECK, 'rpc_unreachable', answer.detail)
  if (answer.status === 'refused') return fault(CHECK, 'token_unusual', `decimals(): ${answer.message}`)
  if (answer.value === USDC_DECIMALS) return ok(CHECK, `${token} has ${USDC_DECIMALS} decimals`)
  return fault(CHECK, 'token_decimals', `${token} has ${answer.value} decimals, not ${USDC_DECIMALS}`)
}

async function checkEip3009(client: ChainClient, token: Address): Promise<ChainFinding> {
  const call = { address: token, abi: fiatTokenAbi, functionName: 'authorizationState' } as const
  const answer = await ask(client.readContract({ ...call, args: [token, zeroHash] }))
  if (answer.status === 'unreachable') return fault(CHECK, 'rpc_unreachable', answer.detail)
  if (answer.status === 'answered') return ok(CHECK, 'takes signed transfers (EIP-3009)')
  return fault(CHECK, 'token_unusual', `authorizationState(): ${answer.message}`)
}

async function checkDomain(client: ChainClient, token: Address): Promise<ChainFinding> {
  const domain = await readTokenDomain(client, token)
  if (domain.status === 'read')
    return ok(CHECK, `its signing domain is ${domain.name}, version ${domain.version}`)
  if (domain.status === 'unusual') {
    return fault(
      CHECK,
      'token_domain_differs',
      `the domain separator of ${token} is not that of its name, version, chain and address`,
    )
  }
  return fault(CHECK, 'token_unusual', `name(), version() or DOMAIN_SEPARATOR(): ${domain.detail}`)
}

/** Where USDC pays gas: that both views of an account show one balance. */
export async function checkViews(
  client: ChainClient,
  { gasIsUsdc }: ChainProfile,
  token: Address,
  account: Address,
): Promise<ChainFinding[]> {
  if (!gasIsUsdc) return []
  const [native, asToken] = await Promise.all([
    readGasBalance(client, account),
    readBalance(client, token, account),
  ])
  if (native.status === 'unreachable') return [fault(CHECK, 'rpc_unreachable', native.detail)]
  // What is wrong with a token that does not answer is said by the other checks.
  if (asToken.status === 'unreachable') return []
  const seen = gasToUsdc(native.wei)
  if (seen === asToken.micros) return [ok(CHECK, 'native and ERC-20 balance are one')]
  return [
    fault(
      CHECK,
      'token_views_differ',
      `${account} has ${seen} micro-USDC natively and ${asToken.micros} as a token`,
    ),
  ]
}
