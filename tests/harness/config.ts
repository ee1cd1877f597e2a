import { z } from 'zod'

const environment = z.object({
  /** How many times the default number of histories is played: 20 for a night. */
  ORIEN_TEST_EFFORT: z.coerce.number().positive().max(10_000).default(1),
  /** What every generated test starts from. The same one each time, so that a failure is of the change that it met. */
  ORIEN_TEST_SEED: z.union([z.literal('random'), z.coerce.number().int()]).default(1),
})

const { ORIEN_TEST_EFFORT: effort, ORIEN_TEST_SEED: given } = environment.parse(process.env)

/** Of whatever is generated in this file's tests; a failure prints it. */
export const seed = given === 'random' ? Math.floor(Math.random() * 2 ** 31) : given

/** Histories to play, of so many by default. */
export const histories = (byDefault: number): number => Math.ceil(byDefault * effort)

/** How long a test with histories may take; raising the effort raises it as well. */
export const patienceMs = (byDefaultMs: number): number => Math.max(1, effort) * byDefaultMs
