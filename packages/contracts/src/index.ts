export { authorizationTypes } from './authorizationTypes.ts'
export { fiatTokenAbi } from './fiatTokenAbi.ts'
export { orienEscrowAbi, orienEscrowBytecode } from './generated/orienEscrow.ts'

/** The grace period that the draft names as its reference value: 15 minutes, in seconds. */
export const defaultCloseGraceSeconds = 900n
