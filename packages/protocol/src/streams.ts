import type { ErrorCode } from './errors.ts'

const idParameter = (prefix: string) => ({
  name: 'id',
  in: 'path',
  required: true,
  schema: { type: 'string', pattern: `^${prefix}_[0-9a-hjkmnp-tv-z]{26}$` },
})

const pathParameter = { name: 'path', in: 'path', required: true, schema: { type: 'string', maxLength: 512 } }
const bearer = [{ bearer: [] }]
const octets = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } }
const digest = { 'x-content-sha256': { schema: { type: 'string' }, description: 'SHA-256 of the file, hex' } }

type StreamDescription = Record<string, unknown> & { responses: Record<string, unknown> }

/** What is no JSON call: bytes, server-sent events, text. Described for the document, served by hand. */
export const STREAMS: readonly {
  method: 'GET' | 'PUT'
  path: string
  errors: readonly ErrorCode[]
  description: StreamDescription
}[] = [
  {
    method: 'GET',
    path: '/api/sessions/:id/events',
    errors: ['not_found', 'unauthorized'],
    description: {
      operationId: 'streamEvents',
      tags: ['sessions'],
      summary: 'Server-sent events of a session; Last-Event-ID resumes without gap or duplicate',
      security: bearer,
      parameters: [idParameter('ses'), { name: 'Last-Event-ID', in: 'header', schema: { type: 'string' } }],
      responses: {
        '200': { description: 'Events', content: { 'text/event-stream': { schema: { type: 'string' } } } },
      },
    },
  },
  {
    method: 'GET',
    path: '/api/executions/:id/logs',
    errors: ['not_found', 'unauthorized'],
    description: {
      operationId: 'readLogs',
      tags: ['executions'],
      summary: 'Output of a run as text, or as server-sent events while it runs',
      security: bearer,
      parameters: [idParameter('exe'), { name: 'Last-Event-ID', in: 'header', schema: { type: 'string' } }],
      responses: {
        '200': {
          description: 'Output',
          content: {
            'text/plain': { schema: { type: 'string' } },
            'text/event-stream': { schema: { type: 'string' } },
          },
        },
      },
    },
  },
  {
    method: 'PUT',
    path: '/api/sessions/:id/files/:path',
    errors: [
      'not_found',
      'unauthorized',
      'workspace_path_refused',
      'payload_too_large',
      'digest_mismatch',
      'workspace_full',
      'provider_offline',
      'session_not_active',
    ],
    description: {
      operationId: 'uploadFile',
      tags: ['files'],
      summary: 'Writes a file into the workspace',
      security: bearer,
      parameters: [
        idParameter('ses'),
        pathParameter,
        { name: 'x-content-sha256', in: 'header', schema: { type: 'string' } },
      ],
      requestBody: { required: true, content: octets },
      responses: {
        '200': {
          description: 'Written',
          headers: digest,
          content: { 'application/json': { schema: { type: 'object' } } },
        },
      },
    },
  },
  {
    method: 'GET',
    path: '/api/sessions/:id/files/:path',
    errors: ['not_found', 'unauthorized', 'workspace_path_refused', 'provider_offline', 'session_not_active'],
    description: {
      operationId: 'downloadFile',
      tags: ['files'],
      summary: 'Reads a file of the workspace',
      security: bearer,
      parameters: [idParameter('ses'), pathParameter],
      responses: { '200': { description: 'The file', headers: digest, content: octets } },
    },
  },
  {
    method: 'GET',
    path: '/api/earnings.csv',
    errors: ['unauthorized'],
    description: {
      operationId: 'downloadEarnings',
      tags: ['earnings'],
      summary: 'The statement as CSV',
      security: bearer,
      parameters: [],
      responses: { '200': { description: 'CSV', content: { 'text/csv': { schema: { type: 'string' } } } } },
    },
  },
  {
    method: 'GET',
    path: '/metrics',
    errors: [],
    description: {
      operationId: 'metrics',
      tags: ['system'],
      summary: 'Prometheus metrics',
      security: [],
      parameters: [],
      responses: {
        '200': { description: 'Metrics', content: { 'text/plain': { schema: { type: 'string' } } } },
      },
    },
  },
]
