/** What each fault of a chain's configuration is called, and what mends it. The code is stable: run books name it. */
export const CHAIN_FAULTS = {
  rpc_unreachable:
    'Check the address in ORIEN_RPC_URL, the network and the key of the endpoint, or name another one.',
  wrong_chain:
    'Use an endpoint of the chain that ORIEN_CHAIN names, or name the chain that the endpoint serves.',
  endpoint_silent:
    'One of several endpoints does not answer: the others are asked. Mend it or take it out of ORIEN_RPC_URL.',
  endpoint_behind:
    'One of several endpoints does not follow its chain: it is left for the others. Use another one.',
  head_old:
    'The node behind the endpoint is not following its chain: use another one, or set this machine’s clock.',
  method_missing: 'Use an endpoint that offers all of the methods; some sell them apart.',
  logs_refused:
    'Use an endpoint that gives logs of 10,000 blocks at once: bills and audits are read from them.',
  finality_missing:
    'Use an endpoint that knows the tag `finalized`, or set ORIEN_FINALITY to a number of blocks.',
  fees_missing:
    'The chain has no base fee (EIP-1559), so transactions cannot be priced here: use another chain.',
  evm_too_old:
    'The escrow needs the instructions of Cancun (EIP-1153): use another chain, or wait for its upgrade.',
  block_gas_low: 'Nothing is wrong, but a block takes less gas than a full batch: settle with smaller ones.',
  token_missing: 'Set ORIEN_TOKEN to the USDC of this chain: there is no contract at that address.',
  token_unusual:
    'Set ORIEN_TOKEN to a USDC with EIP-3009, as Circle’s: that contract does not answer like one.',
  token_decimals: 'Set ORIEN_TOKEN to a token of 6 decimals: here 1 USDC is 1000000, and nothing else.',
  token_domain_differs:
    'Set ORIEN_TOKEN to Circle’s own contract: wallets cannot sign for the domain of that one.',
  token_views_differ:
    'The native balance and the ERC-20 one are not the same money: ORIEN_TOKEN or the chain is another than named.',
  escrow_unknown: 'Deploy one: orien chain deploy; or name the one that stands: ORIEN_ESCROW.',
  escrow_missing:
    'Deploy one: orien chain deploy; or correct ORIEN_ESCROW. There is no contract at that address.',
  escrow_code_differs:
    'Deploy one: orien chain deploy. What stands at that address is not the escrow of this version: put no money in.',
  escrow_token_differs:
    'Name the escrow of this token, or the token of this escrow: ORIEN_ESCROW, ORIEN_TOKEN.',
  escrow_terms_differ:
    'Name the escrow that was deployed for your platform and reserve: what this one pays goes elsewhere.',
  escrow_domain_differs: 'Deploy a new one: signatures for this one would be refused.',
  relayer_without_gas: 'Send native coin to the relayer: without it nothing is opened or settled.',
} as const

/** See {@link CHAIN_FAULTS}. */
export type ChainFaultCode = keyof typeof CHAIN_FAULTS

/**
 * One line of a check of the chain. On a `fault` no money may be handled; a `warning` wants the operator, and sessions
 * that are under way can still be ended.
 */
export type ChainFinding = { check: string; detail: string } & (
  | { state: 'ok' }
  | { state: 'warning' | 'fault'; code: ChainFaultCode; fix: string }
)

/** What is as it should be. */
export const ok = (check: string, detail: string): ChainFinding => ({ check, state: 'ok', detail })

/** What forbids handling money on this chain. */
export const fault = (check: string, code: ChainFaultCode, detail: string): ChainFinding => ({
  ...{ check, state: 'fault', code, detail },
  fix: CHAIN_FAULTS[code],
})

/** What the operator has to see to. */
export const warning = (check: string, code: ChainFaultCode, detail: string): ChainFinding => ({
  ...{ check, state: 'warning', code, detail },
  fix: CHAIN_FAULTS[code],
})
