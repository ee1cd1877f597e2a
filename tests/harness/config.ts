import { z } from 'zod'

const environment = z.object({
  /** How many times the default number of histories is played: 20 for a night. */
  ORIEN_TEST_EFFORT: z.coerce.number().positive().max(10_000).default(1),
  /** Plays this seed instead of a fresh one; a failure prints its own. */
  ORIEN_TEST_SEED: z.coerce.number().int().optional(),
})

const { ORIEN_TEST_EFFORT: effort, ORIEN_TEST_SEED: seed } = environment.parse(process.env)

/** The seed that was asked for. */
export const givenSeed = seed

/** Histories to play, of so many by default. */
export const histories = (byDefault: number): number => Math.ceil(byDefault * effort)

/** How long a test with histories may take; raising the effort raises it as well. */
export const patienceMs = (byDefaultMs: number): number => Math.max(1, effort) * byDefaultMs
