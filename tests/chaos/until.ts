const LOOK_EVERY_MS = 50

/** Looks again and again, at most `looks` times, until there is something. */
export async function until<T>(what: string, looks: number, look: () => Promise<T | null>): Promise<T> {
  for (let left = looks; left > 0; left -= 1) {
    const found = await look().catch(() => null)
    if (found !== null) return found
    await new Promise<void>((resolve) => void setTimeout(resolve, LOOK_EVERY_MS))
  }
  throw new TypeError(`it never came to pass: ${what}`)
}
