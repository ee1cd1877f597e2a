import { noTracing, type Tracing } from './tracing.ts'

/** Who traces, and where the spans go. */
export type TracingOptions = {
  /** Base address of an OTLP/HTTP receiver, as in `OTEL_EXPORTER_OTLP_ENDPOINT`; undefined switches tracing off. */
  endpoint: string | undefined
  service: string
  version: string
}

/**
 * Switches tracing on when there is somewhere to send spans to. The OpenTelemetry packages are loaded only then.
 *
 * @example
 * const tracing = await openTracing({ endpoint: 'http://127.0.0.1:4318', service: 'orien-node', version: '1.0.0' })
 */
export async function openTracing({ endpoint, ...service }: TracingOptions): Promise<Tracing> {
  if (!endpoint) return noTracing
  const { exportSpans } = await import('./exportSpans.ts')
  return exportSpans(endpoint, service)
}
