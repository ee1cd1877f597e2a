import type { ServerResponse } from 'node:http'
import { sha256Hex } from '@orien/protocol'
import { type Arrived, problem } from './loopback.ts'
import type { SessionStandIn } from './sessionStandIn.ts'

type Answer = { status?: number; body: unknown }

const draftKey = (name: string, sha256: unknown) => `${name} ${String(sha256)}`

/** How much of an upload is there. */
export function findUpload(session: SessionStandIn, request: Arrived): unknown {
  const query = new URLSearchParams(request.path.split('?')[1])
  const name = query.get('name') ?? ''
  const there = session.files.get(name)
  const isComplete = there !== undefined && sha256Hex(there) === query.get('sha256')
  const draft = session.drafts.get(draftKey(name, query.get('sha256')))
  return { receivedBytes: isComplete ? there.length : (draft?.length ?? 0), isComplete }
}

/** Takes and gives files as a coordinator does: whole, in parts, or from an offset on. */
export function carryFile(
  session: SessionStandIn,
  name: string,
  request: Arrived,
  response: ServerResponse,
): unknown {
  if (request.method === 'PUT') {
    const { status, body } = takePart(session, name, request)
    if (status === 409) return problem(response, 409, 'upload_offset_mismatch')
    if (status === 202) response.statusCode = 202
    else response.setHeader('x-content-sha256', sha256Hex(session.files.get(name) ?? ''))
    return body
  }
  const content = session.files.get(name)
  if (!content) return problem(response, 404, 'not_found')
  const sha256 = sha256Hex(content)
  const wanted = /^bytes=(\d+)-$/.exec(String(request.headers.range ?? ''))
  const fromByte = wanted && request.headers['if-range'] === `"${sha256}"` ? Number(wanted[1]) : 0
  response.writeHead(fromByte > 0 ? 206 : 200, {
    'x-content-sha256': sha256,
    'content-length': content.length - fromByte,
  })
  response.end(content.subarray(fromByte))
  return undefined
}

function takePart(session: SessionStandIn, name: string, { headers, body }: Arrived): Answer {
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(String(headers['content-range'] ?? ''))
  const key = draftKey(name, headers['x-content-sha256'])
  const draft = session.drafts.get(key) ?? Buffer.alloc(0)
  if (range && Number(range[1]) !== draft.length) return { status: 409, body: null }
  const whole = range ? Buffer.concat([draft, body]) : body
  if (range && whole.length < Number(range[3])) {
    session.drafts.set(key, whole)
    return { status: 202, body: { name, receivedBytes: whole.length } }
  }
  session.drafts.delete(key)
  session.files.set(name, whole)
  return { body: { name, bytes: whole.length } }
}
