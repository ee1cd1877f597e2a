import { parseArgs } from 'node:util'

/** What a run of the harness is asked for. */
export type Config = {
  seed: number
  /** Points by their numbers; none stands for all. */
  points: number[]
  /** So many of all points, in the seed's order; every one by default. */
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
      point: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      only: { type: 'string' },
      list: { type: 'boolean' },
    },
  })
  const whole = (text: string) => Number.parseInt(text, 10)
  return {
    seed: whole(values.seed ?? '1'),
    points: values.point.map(whole),
    rounds: values.rounds === undefined ? null : whole(values.rounds),
    only: values.only ?? '',
    list: values.list ?? false,
  }
}
