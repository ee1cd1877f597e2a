import {
  type Hex,
  type OperatorTerms,
  type OwnerSignatures,
  type Registration,
  registrationTypedData,
  setOperatorTypedData,
  type UsdcMicros,
} from '@orien/protocol'
import type { LocalAccount } from 'viem/accounts'
import type { Provider } from './providerFile.ts'

/** What an owner is asked to sign, once for each node. */
type OwnerRequest = {
  registration: Registration
  operatorTerms: OperatorTerms
  chain: Provider['chain']
  /** For the owner to see; offers say it again and are signed by the node. */
  rateMicrosPerMinute: UsdcMicros
}

/** Who is paid, and signs for it: a wallet on this machine, or one that is reached somewhere else. */
export type Owner = { payout: Hex; sign(request: OwnerRequest): Promise<OwnerSignatures> }

/** An owner whose wallet is here and now; nothing of its key is left behind. */
export function walletOwner(account: LocalAccount): Owner {
  return {
    payout: account.address.toLowerCase() as Hex,
    sign: async ({ registration, operatorTerms, chain }) => ({
      registration: await account.signTypedData(registrationTypedData(registration)),
      operator: await account.signTypedData(setOperatorTypedData(chain, operatorTerms)),
    }),
  }
}
