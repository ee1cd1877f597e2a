/** The two calls of libsecp256k1 that are used, as the package `secp256k1` names them. */
type NativeSecp256k1 = {
  ecdsaSign: (digest: Uint8Array, privateKey: Uint8Array) => { signature: Uint8Array; recid: number }
  ecdsaRecover: (
    compact: Uint8Array,
    recovery: number,
    digest: Uint8Array,
    isCompressed: boolean,
  ) => Uint8Array
}

/**
 * libsecp256k1, thirty times as fast as JavaScript; null in browsers, in bundles and on platforms without a prebuilt
 * library. Its bindings are loaded past the package's own index, which would fall back to a slower library unseen.
 */
export const nativeSecp256k1: NativeSecp256k1 | null = load()

function load(): NativeSecp256k1 | null {
  const node = globalThis.process?.getBuiltinModule?.('node:module')
  if (!node) return null
  try {
    return node.createRequire(import.meta.url)('secp256k1/bindings.js') as NativeSecp256k1
  } catch {
    return null
  }
}
