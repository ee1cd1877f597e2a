/** Every attack ends with 0 when it came through and with 1 when it was stopped, as the ones in C do. */
export const argument = process.argv[2] ?? ''

/** @param {() => unknown} attack */
export async function verdict(attack) {
  let cameThrough = false
  try {
    cameThrough = Boolean(await attack())
  } catch (error) {
    console.error('stopped:', error?.code ?? error?.cause?.code ?? error?.message)
  }
  process.exit(cameThrough ? 0 : 1)
}
