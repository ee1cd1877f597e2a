import { type Context, ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import type { OpenSpan, Tracing } from './tracing.ts'

/** Spans wait this long for company. */
const BATCH_MS = 1_000
/** A receiver that does not answer costs its spans, and a stop no longer than this. */
const EXPORT_MS = 3_000

/** From the process's monotonic clock to the wall clock's milliseconds. */
const wallMs = (monotonicMs: number) => performance.timeOrigin + monotonicMs

/** The context below a span that is known by its `traceparent` alone. */
function contextOf(parent: string | undefined): Context {
  if (parent === undefined) return ROOT_CONTEXT
  const [, traceId = '', spanId = '', flags = ''] = parent.split('-')
  const traceFlags = Number.parseInt(flags, 16) & TraceFlags.SAMPLED
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true })
}

/**
 * Makes spans and sends them by OTLP/HTTP in batches. Whether a trace is kept is its first span's decision: one that
 * comes with an unsampled parent is not recorded. Spans that do not fit into the queue are dropped, never waited for.
 */
export function exportSpans(endpoint: string, { service, version }: Record<'service' | 'version', string>) {
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    timeoutMillis: EXPORT_MS,
  })
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': service, 'service.version': version }),
    spanProcessors: [
      new BatchSpanProcessor({ exporter, scheduledDelayMillis: BATCH_MS, exportTimeoutMillis: EXPORT_MS }),
    ],
  })
  const tracer = provider.getTracer('orien')
  const begin: Tracing['begin'] = (name, { startMs, parent, kind }): OpenSpan => {
    const options = {
      startTime: wallMs(startMs),
      kind: kind === 'server' ? SpanKind.SERVER : SpanKind.INTERNAL,
    }
    const span = tracer.startSpan(name, options, contextOf(parent))
    const { traceId, spanId, traceFlags } = span.spanContext()
    return {
      traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
      end: ({ endMs, facts, isError }) => {
        if (facts) span.setAttributes(facts)
        if (isError) span.setStatus({ code: SpanStatusCode.ERROR })
        span.end(wallMs(endMs))
      },
    }
  }
  const stop = () => provider.shutdown().catch(() => {})
  return { isOn: true, begin, stop } satisfies Tracing
}
