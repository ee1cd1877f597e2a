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
const header = (name: string, description: string) => ({
  name,
  in: 'header',
  description,
  schema: { type: 'string' },
})
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
      'length_required',
      'payload_too_large',
      'digest_mismatch',
      'workspace_full',
      'workspace_gone',
      'upload_offset_mismatch',
      'deposit_pending',
      'too_many_transfers',
      'provider_offline',
      'node_unreachable',
      'timed_out',
      'session_not_active',
    ],
    description: {
      operationId: 'uploadFile',
      tags: ['files'],
      summary: 'Writes a file into the workspace, whole or from where an upload was cut off',
      security: bearer,
      parameters: [
        idParameter('ses'),
        pathParameter,
        header(
          'x-content-sha256',
          'Of the whole file. With it, what arrives is kept for a while when it is cut off.',
        ),
        header(
          'content-range',
          '`bytes first-last/size` for a part: the parts of a file are sent in their order.',
        ),
      ],
      requestBody: { required: true, content: octets },
      responses: {
        '200': {
          description: 'Written: the file is there, and its hash is right',
          headers: digest,
          content: { 'application/json': { schema: { type: 'object' } } },
        },
        '202': {
          description: 'The part is kept; `receivedBytes` says how much there is',
          content: { 'application/json': { schema: { type: 'object' } } },
        },
      },
    },
  },
  {
    method: 'GET',
    path: '/api/sessions/:id/files/:path',
    errors: [
      'not_found',
      'unauthorized',
      'workspace_path_refused',
      'workspace_gone',
      'range_not_satisfiable',
      'digest_mismatch',
      'too_many_transfers',
      'provider_offline',
      'node_unreachable',
      'session_not_active',
    ],
    description: {
      operationId: 'downloadFile',
      tags: ['files'],
      summary: 'Reads a file of the workspace, whole or from where a download was cut off',
      security: bearer,
      parameters: [
        idParameter('ses'),
        pathParameter,
        header('range', '`bytes=first-`, to go on (RFC 9110, section 14.2)'),
        header('if-range', 'The ETag of the first answer: a file that has changed since comes whole.'),
      ],
      responses: {
        '200': { description: 'The file; its ETag is its SHA-256', headers: digest, content: octets },
        '206': { description: 'The file from there on', headers: digest, content: octets },
      },
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
