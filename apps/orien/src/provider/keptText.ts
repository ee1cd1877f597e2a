import { counted } from '../terminal/amounts.ts'

/** What a node that has stopped left on the machine, and how to be rid of it. */
export const keptText = (sessions: number): string =>
  `the files of ${counted(sessions, 'session')} stay for the next start (orien provider stop --for-good removes them)`
