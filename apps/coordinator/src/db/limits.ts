/** Bounds of the database layer, in the units of their names. */
export const DATABASE_LIMITS = {
  /** Connections of one coordinator; embedded PostgreSQL accepts 100 in all. */
  poolConnections: 20,
  /** Waiting for a connection, from the pool or from the server. */
  connectTimeoutMs: 5_000,
  /** One statement, counted by the server. */
  statementTimeoutMs: 30_000,
  /** What the client waits beyond that, for a server that no longer counts. */
  unansweredGraceMs: 5_000,
  /** A transaction that holds its locks and sends nothing. */
  idleTransactionTimeoutMs: 60_000,
  /** The longest that health waits for the database before it calls it slow. */
  healthCheckMs: 2_000,
  /** How long a good answer about the database is given again. */
  healthFreshMs: 500,
  /** From spawn to "ready", replay of the write-ahead log after a crash included. */
  startTimeoutMs: 120_000,
  /** Fast shutdown (SIGINT), which writes a checkpoint; beyond it: immediate shutdown (SIGQUIT). */
  fastStopMs: 20_000,
  /** Immediate shutdown, in which PostgreSQL itself kills after 5 s what does not end; beyond it: refused. */
  immediateStopMs: 10_000,
  /** A backend whose postmaster was killed leaves by itself in this time, unless it is computing. */
  orphanBackendMs: 1_000,
  /** First and longest pause between two attempts to bring a dead PostgreSQL back; each is twice the last. */
  firstRestartPauseMs: 50,
  longestRestartPauseMs: 5_000,
  /** Deaths and failed starts in a row, with pauses of 16 s between them in all, after which it stays down. */
  restartAttempts: 10,
  /** A PostgreSQL that ran this long has settled, and its death is the first again. */
  settledMs: 60_000,
  /** Random ports tried when another process is quicker to bind one. */
  portAttempts: 5,
  /** After its end, for lines of its log that are still on their way. */
  lastWordsMs: 200,
  /** Lines of PostgreSQL's own log kept for the reason of a failed start. */
  reasonLines: 8,
  /** Items of one group commit; 256 in flight were fastest in batches of at most 128. */
  batchItems: 128,
  /** Group commits of one kind under way at once: while one waits for the disk, the other computes. */
  batchFlushes: 2,
  /** Items waiting for a group commit; beyond it the caller is refused. */
  batchQueue: 4_096,
} as const
