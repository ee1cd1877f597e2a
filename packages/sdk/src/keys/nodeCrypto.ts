/** Node's own cryptography where the runtime has it; undefined in browsers. No import, so that bundlers leave it alone. */
export const nodeCrypto: typeof import('node:crypto') | undefined =
  globalThis.process?.getBuiltinModule?.('node:crypto')
