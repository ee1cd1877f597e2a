/** What an agent's request is, by method, path and action. */
export function nameOfCall(request: { method: string; path: string; body: Buffer }): string | null {
  const { method } = request
  const path = request.path.replace(/\?.*/, '').replaceAll(/\/(ses|exe|prv)_\w+/g, '/:id')
  if (method === 'POST' && path === '/api/sessions/:id') {
    const action = /"action":"(\w+)"/.exec(request.body.toString('utf8'))?.[1]
    return `agent ${action ?? 'act'}`
  }
  return CALLS[`${method} ${path}`] ?? null
}

const CALLS: Readonly<Record<string, string>> = {
  'POST /api/sessions': 'agent open',
  'POST /api/sessions/:id/execute': 'agent execute',
  'POST /api/auth/challenge': 'agent challenge',
  'POST /api/auth/verify': 'agent verify',
  'GET /api/sessions/:id': 'agent show',
  'DELETE /api/sessions/:id': 'agent end',
}

/** The method of a JSON-RPC request to the chain. */
export function nameOfQuestion(who: 'coordinator' | 'watcher'): (request: { body: Buffer }) => string | null {
  return ({ body }) => {
    const method = /"method":"(\w+)"/.exec(body.toString('utf8'))?.[1]
    return method ? `${who} ${method}` : null
  }
}
