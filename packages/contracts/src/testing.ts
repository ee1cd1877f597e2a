/** Contracts that exist for tests alone; nothing outside a test may import this. */
export { hostileTokenAbi, hostileTokenBytecode } from './generated/hostileToken.ts'
