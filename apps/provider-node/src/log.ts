/** One structured line per event; never arguments, output or secrets. pino's loggers have this form. */
export type Log = {
  info(event: object): void
  warn(event: object): void
  error(event: object): void
}

export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} }
