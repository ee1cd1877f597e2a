import { invariant } from '@orien/protocol'
import type { Address, Hex } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { toHex } from 'viem/utils'

/** The mnemonic that every anvil node uses: its keys are public, and worth nothing elsewhere. */
const publicMnemonic = 'test test test test test test test test test test test junk'

const account = (addressIndex: number) => mnemonicToAccount(publicMnemonic, { addressIndex })

/** Deploys, and is USDC's owner, master minter, minter, pauser and blocklister. */
export const deployerAccount = account(0)

/** The accounts of the local chain. The node holds their keys and signs for them when it is asked to. */
export const localAccounts = {
  deployer: deployerAccount.address,
  /** Admin of USDC's proxy: a proxy refuses its admin as a user of the token, so it is nobody else. */
  tokenAdmin: account(1).address,
  platform: account(2).address,
  reserve: account(3).address,
  /** Pays the gas of relayed calls. */
  relayer: account(4).address,
} as const satisfies Record<string, Address>

/** The relayer's key on the local chain. Public knowledge, like all keys there. */
export function localRelayerPrivateKey(): Hex {
  const { privateKey } = account(4).getHdKey()
  invariant(privateKey !== null, 'a key derived from a mnemonic is a private key')
  return toHex(privateKey)
}
