export { openTracing, type TracingOptions } from './openTracing.ts'
export { noTracing, type OpenSpan, type SpanFacts, type SpanStart, type Tracing } from './tracing.ts'
