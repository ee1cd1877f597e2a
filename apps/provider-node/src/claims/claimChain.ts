import type { Hex } from '@orien/protocol'
import {
  type BatchTrial,
  type Mined,
  readChainTime,
  readGraceSeconds,
  readSender,
  type Sender,
  sendRaw,
  tryBatch,
} from '@orien/sdk'
import type { Provider } from '../identity/providerFile.ts'

/** The node's own way to be paid: every question may end in `chain_unavailable`. */
export type ClaimChain = {
  graceSeconds(): Promise<number>
  /** Of the latest block, Unix seconds. */
  nowSeconds(): Promise<number>
  sender(address: Hex): Promise<Sender>
  tryBatch(from: Hex, data: Hex): Promise<BatchTrial>
  /** Resolves when it is mined, or has not been for a minute. */
  send(raw: Hex): Promise<Mined>
}

export const openClaimChain = (rpcUrl: string, chain: Provider['chain']): ClaimChain => ({
  graceSeconds: () => readGraceSeconds(rpcUrl, chain),
  nowSeconds: () => readChainTime(rpcUrl),
  sender: (address) => readSender(rpcUrl, chain.chainId, address),
  tryBatch: (from, data) => tryBatch(rpcUrl, chain, from, data),
  send: (raw) => sendRaw(rpcUrl, raw),
})
