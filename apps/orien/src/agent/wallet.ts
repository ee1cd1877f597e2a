import { fiatTokenAbi } from '@orien/contracts'
import { type Hex, initialise, micros, ONE_USDC, OrienError, type UsdcMicros } from '@orien/protocol'
import { createPublicClient, http } from 'viem'
import type { AgentOptions, Handler } from '../commands/bind.ts'
import { exactUsdc } from '../terminal/amounts.ts'
import { wrongUse } from '../terminal/wrongUse.ts'
import { readUsdc } from './amount.ts'
import { connectAgent } from './connect.ts'
import { coordinatorOf } from './coordinator.ts'
import { readPlace } from './place.ts'

type Options = AgentOptions & { fund?: string | true; rpcUrl?: string }

const DEFAULT_GIFT = micros(100n * ONE_USDC)

/** `orien wallet` */
export const showWallet: Handler<Options> = async (shell, options) => {
  const { terminal, settings } = shell
  const { fund } = options
  const amountMicros = fund === true ? DEFAULT_GIFT : readUsdc('--fund', fund)
  const { orien, account } = await connectAgent(shell, options)
  const wallet = account.address.toLowerCase() as Hex
  if (amountMicros !== undefined) {
    await orien.call(initialise, { body: { wallet, amountMicros } })
    terminal.say(`received ${exactUsdc(amountMicros)} local USDC`)
  }
  const place = await readPlace(coordinatorOf(shell, options))
  const rpcUrl = options.rpcUrl ?? settings.rpcUrl ?? place.rpcUrl
  if (rpcUrl === undefined)
    throw wrongUse('Where the chain is has to be said', 'Add --rpc-url, or set ORIEN_RPC_URL.')
  const balanceMicros = await readBalance(rpcUrl, place.token, wallet)
  if (terminal.isJson) terminal.printJson({ address: account.address, balanceMicros, chainId: place.chainId })
  else {
    terminal.print(account.address)
    terminal.print(`${exactUsdc(balanceMicros)} USDC on chain ${place.chainId}`)
  }
  return 0
}

async function readBalance(rpcUrl: string, token: Hex, wallet: Hex): Promise<UsdcMicros> {
  const client = createPublicClient({ transport: http(rpcUrl) })
  const call = { address: token, abi: fiatTokenAbi, functionName: 'balanceOf', args: [wallet] } as const
  const balance = await client.readContract(call).catch((cause: unknown) => {
    throw new OrienError('chain_unavailable', 'The chain did not say what the wallet holds', {}, { cause })
  })
  return micros(balance)
}
