/** Contracts that exist for tests alone; nothing outside a test may import this. */
export { crowdAbi, crowdBytecode } from './generated/crowd.ts'
export { hostileTokenAbi, hostileTokenBytecode } from './generated/hostileToken.ts'
