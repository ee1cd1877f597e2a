import { parseArgs } from 'node:util'

/** What a run of the harness is asked for. */
export type Config = {
  seed: number
  /** One point by its number. */
  point: number | null
  /** So many points, in the seed's order; all by default. */
  rounds: number | null
  /** Only points in whose names this is. */
  only: string
  list: boolean
}

/** Reads the command line; nothing else of the harness does. */
export function readConfig(args: readonly string[] = process.argv.slice(2)): Config {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string' },
      point: { type: 'string' },
      rounds: { type: 'string' },
      only: { type: 'string' },
      list: { type: 'boolean' },
    },
  })
  const whole = (text: string | undefined) => (text === undefined ? null : Number.parseInt(text, 10))
  return {
    seed: whole(values.seed) ?? 1,
    point: whole(values.point),
    rounds: whole(values.rounds),
    only: values.only ?? '',
    list: values.list ?? false,
  }
}
