import type { Fault } from './faults.ts'
import type { Story } from './stories.ts'

/** One moment of a round at which one thing goes wrong: the `nth` passage of `site`; in the first story where none is named. */
export type Point = { site: string; nth: number; fault: Fault; story?: Story }
