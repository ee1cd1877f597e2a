import { OrienError } from '@orien/protocol/errors'

/** Gives a bearer token; a new one when the last was refused. */
export type TokenSource = (renew: boolean) => Promise<string | undefined>

type Bearer = { authorization?: string }

/**
 * Makes an attempt with a token, and once more with a fresh one when the coordinator no longer knows the first.
 *
 * @throws OrienError whatever the attempt throws; `unauthorized` when there is no better token
 */
export async function withToken<T>(
  source: TokenSource,
  attempt: (bearer: Record<string, string>) => Promise<T>,
): Promise<T> {
  const bearer = async (renew: boolean): Promise<Bearer> => {
    const token = await source(renew)
    return token === undefined ? {} : { authorization: `Bearer ${token}` }
  }
  const first = await bearer(false)
  try {
    return await attempt({ ...first })
  } catch (error) {
    const isRefused = error instanceof OrienError && error.code === 'unauthorized'
    if (!isRefused || first.authorization === undefined) throw error
    const second = await bearer(true)
    if (second.authorization === first.authorization) throw error
    return attempt({ ...second })
  }
}
