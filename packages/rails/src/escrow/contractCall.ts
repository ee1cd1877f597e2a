import type { Address, Hex } from 'viem'

/** A call that anyone may send: the contract and its call data. */
export type ContractCall = { to: Address; data: Hex }
