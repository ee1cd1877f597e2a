/** What may stand in a span: figures, ids and codes, never arguments, output or secrets. */
export type SpanFacts = Readonly<Record<string, string | number | boolean>>

/** A span that has begun. */
export type OpenSpan = {
  /** Its place in the trace as W3C `traceparent`, for whoever goes on; undefined while nothing is traced. */
  readonly traceparent: string | undefined
  /** Ends it; once. */
  end: (ending: { endMs: number; facts?: SpanFacts; isError?: boolean }) => void
}

/** Where and when a span begins. Times are of the process's own monotonic clock, milliseconds. */
export type SpanStart = {
  startMs: number
  /** The span above it, of this process or another one; a new trace without. */
  parent?: string | undefined
  /** `server`: the span answers a request that came over the network. */
  kind?: 'internal' | 'server'
}

/** Makes spans, or does nothing at all. */
export type Tracing = {
  readonly isOn: boolean
  begin: (name: string, start: SpanStart) => OpenSpan
  /** Sends what was not sent yet, for at most a few seconds. */
  stop: () => Promise<void>
}

const noSpan: OpenSpan = { traceparent: undefined, end: () => {} }

/** Tracing that is switched off: makes nothing and allocates nothing. */
export const noTracing: Tracing = { isOn: false, begin: () => noSpan, stop: async () => {} }
