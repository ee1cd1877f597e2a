import type { Hex } from '@orien/protocol'
import {
  type CloseTrial,
  type Mined,
  readChainTime,
  readGraceSeconds,
  readSender,
  type Sender,
  sendRaw,
  tryCloseBatch,
} from '@orien/sdk'
import type { Provider } from '../identity/providerFile.ts'

/** The node's own way to be paid: every question may end in `chain_unavailable`. */
export type ClaimChain = {
  graceSeconds(): Promise<number>
  /** Of the latest block, Unix seconds. */
  nowSeconds(): Promise<number>
  sender(address: Hex): Promise<Sender>
  tryClose(from: Hex, data: Hex): Promise<CloseTrial>
  /** Resolves when it is mined, or has not been for a minute. */
  send(raw: Hex): Promise<Mined>
}

export const openClaimChain = (rpcUrl: string, chain: Provider['chain']): ClaimChain => ({
  graceSeconds: () => readGraceSeconds(rpcUrl, chain),
  nowSeconds: () => readChainTime(rpcUrl),
  sender: (address) => readSender(rpcUrl, chain.chainId, address),
  tryClose: (from, data) => tryCloseBatch(rpcUrl, chain, from, data),
  send: (raw) => sendRaw(rpcUrl, raw),
})
