/**
 * What Node is told before a provider's program. V8 would let its youngest objects take up to 128 MiB of a machine that
 * is lent for other work; a node gains nothing from more than a quarter of that. It can only be said at the start.
 */
export const NODE_FLAGS: readonly string[] = ['--max-semi-space-size=16']
