/** A sample of Prometheus is a float by its format: good for a graph, and nothing is ever counted on with it. */
export const sampleOf = (exact: bigint | string): number => Number(exact)
