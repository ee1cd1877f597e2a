import { type ErrorFacts, OrienError } from '@orien/protocol'

/** Why the embedded PostgreSQL does not run, and what its operator can do. docs/runbook.md has a part for each. */
const REFUSALS = {
  no_binaries: [
    'There is no embedded PostgreSQL for this system.',
    'Set DATABASE_URL to a PostgreSQL 15 or later.',
  ],
  data_dir: ['The data directory cannot be used.', 'Make it writable for this account, or name another one.'],
  not_ours: [
    'The data directory holds something that ORIEN did not make; nothing of it was touched.',
    'Name another data directory, or put what is in it elsewhere.',
  ],
  lock: [
    'The lock of the data directory cannot be taken.',
    'When nothing runs on this directory, remove supervisor.lock in it.',
  ],
  owner: [
    'The database files belong to another account.',
    'Start as their owner or as root; files that belong to root go to orien-postgres (chown -R).',
  ],
  account: [
    'PostgreSQL does not run as root, and an account for it could not be made.',
    'Start as another account than root, or make orien-postgres (useradd --system).',
  ],
  unreachable: [
    'PostgreSQL does not run as root, and its account may not enter a directory above the database files or programs.',
    'Open that directory for others (chmod o+x), or name a data directory elsewhere.',
  ],
  permissions: [
    'PostgreSQL may not use the database files as they are.',
    'All files below `cluster` must belong to the owner of `cluster`, which must have mode 0700.',
  ],
  version: [
    'The database files are of another PostgreSQL.',
    'Dump them with that version, and restore into a new data directory.',
  ],
  password_missing: [
    'The password file is missing.',
    'Put `password` back from a backup, or set a new one as the runbook says.',
  ],
  password: [
    'The password file is not the one of this database.',
    'Put `password` back from a backup, or set a new one as the runbook says.',
  ],
  port_taken: [
    'Another program listens on the port of PostgreSQL.',
    'Stop it, or leave the port out to get a free one.',
  ],
  disk_full: ['The disk has no room for PostgreSQL.', 'Make room on the disk of the data directory.'],
  shared_memory: [
    'The system gives PostgreSQL no shared memory.',
    'Give /dev/shm at least 64 MB (containers: --shm-size).',
  ],
  remains: [
    'A process of an earlier PostgreSQL does not end, or its shared memory is still in use.',
    'End the PostgreSQL processes of this data directory, then start again.',
  ],
  crash_loop: [
    'PostgreSQL died again and again soon after its start; it is not started any more.',
    'Read the last lines of its log, mend the cause, then start ORIEN again.',
  ],
  refused: ['PostgreSQL did not start.', 'Read the last lines of its log.'],
} as const

export type RefusalReason = keyof typeof REFUSALS

/** The error of a PostgreSQL that does not run. @param facts what was seen, never a password */
export function refusal(reason: RefusalReason, facts: ErrorFacts = {}, options?: ErrorOptions): OrienError {
  const [detail, hint] = REFUSALS[reason]
  return new OrienError('setup_failed', detail, { ...facts, reason, hint }, options)
}

/** Why a start or a restart failed; null when the failure is none of the above. */
export function reasonOfRefusal(error: unknown): RefusalReason | null {
  if (!(error instanceof OrienError) || typeof error.facts.reason !== 'string') return null
  return error.facts.reason in REFUSALS ? (error.facts.reason as RefusalReason) : null
}

/** What lines of PostgreSQL or initdb say about their failure. */
export function reasonSaid(lines: string): RefusalReason {
  if (/could not bind|could not create any TCP\/IP sockets/.test(lines)) return 'port_taken'
  if (lines.includes('pre-existing shared memory block')) return 'remains'
  if (/could not (create|open|resize|map) shared memory/.test(lines)) return 'shared_memory'
  if (lines.includes('No space left on device')) return 'disk_full'
  if (/invalid permissions|wrong ownership|Permission denied/.test(lines)) return 'permissions'
  return 'refused'
}
