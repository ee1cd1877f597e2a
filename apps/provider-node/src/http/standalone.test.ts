import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type StandaloneNode, startStandalone } from '../node/startStandalone.ts'
import { startCoordinator, type TestCoordinator } from '../testing/coordinator.ts'
import { makeDataDir, nodeOptions, removeDir } from '../testing/node.ts'

let coordinator: TestCoordinator
let node: StandaloneNode
let dataDir = ''
beforeAll(async () => {
  coordinator = await startCoordinator()
  dataDir = await makeDataDir(coordinator.url)
  node = await startStandalone(nodeOptions(dataDir))
})
afterAll(async () => {
  await node.stop()
  await coordinator.close()
  await removeDir(dataDir)
})

async function call(method: string, path: string, body?: unknown, token = node.apiToken) {
  const response = await fetch(new URL(path, node.apiUrl), {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    type: response.headers.get('content-type') ?? '',
    body: text ? JSON.parse(text) : null,
  }
}

async function logs(id: string): Promise<string> {
  const headers = { authorization: `Bearer ${node.apiToken}` }
  return (await fetch(new URL(`/executions/${id}/logs`, node.apiUrl), { headers })).text()
}

const run = (tool: string, args: object, sessionId?: string) =>
  call('POST', '/execute', { tool, args, ...(sessionId ? { sessionId } : {}) })

describe('the loopback interface on its own', () => {
  test('is on this machine alone', () => {
    expect(new URL(node.apiUrl).hostname).toBe('127.0.0.1')
  })

  test('health and tools say what there is', async () => {
    expect((await call('GET', '/health')).body).toMatchObject({ status: 'ok', standalone: true, running: 0 })
    const { items } = (await call('GET', '/tools')).body
    expect(items.map(({ id }: { id: string }) => id)).toEqual(['echo', 'script'])
    expect(items[0].inputSchema).toMatchObject({ type: 'object', additionalProperties: false })
  })

  test('runs a tool, follows its output and tells how it ended; nobody is asked and nobody pays', async () => {
    const started = await run('echo', { text: 'hello' })
    expect(started.status).toBe(202)
    expect(await logs(started.body.id)).toBe('["--","hello"]')
    expect((await call('GET', `/executions/${started.body.id}`)).body).toMatchObject({
      tool: 'echo',
      status: expect.any(String),
    })
    expect(coordinator.received).toEqual([])
  })

  test('a session keeps its files between runs, until its workspace is destroyed', async () => {
    const write = await run('script', { code: 'require("fs").writeFileSync("kept", "1")' })
    await logs(write.body.id)
    const look = { code: 'console.log(require("fs").existsSync("kept"))' }
    const second = await run('script', look, write.body.sessionId)
    expect(await logs(second.body.id)).toBe('true\n')
    expect((await call('DELETE', `/sessions/${write.body.sessionId}/workspace`)).status).toBe(204)
    expect(await logs((await run('script', look, write.body.sessionId)).body.id)).toBe('false\n')
  })

  test('destroying a workspace ends what runs in it', async () => {
    const stays = await run('script', { code: 'console.log("here"); setInterval(() => {}, 1000)' })
    const output = logs(stays.body.id)
    await call('DELETE', `/sessions/${stays.body.sessionId}/workspace`)
    await output
    expect((await call('GET', `/executions/${stays.body.id}`)).body).toMatchObject({
      status: 'failed',
      reason: 'cancelled',
    })
  })
})

describe('a request is refused', () => {
  test.each([
    ['without the token', 'GET', '/health', undefined, 401, 'unauthorized', ''],
    ['with another token', 'GET', '/health', undefined, 401, 'unauthorized', 'x'.repeat(43)],
  ])('%s', async (_title, method, path, body, status, code, token) => {
    const answer = await call(method, path, body, token)
    expect(answer).toMatchObject({ status, type: expect.stringContaining('application/problem+json') })
    expect(answer.body).toMatchObject({ code, status })
  })

  test.each([
    ['for a path that is not there', 'GET', '/nothing', undefined, 404, 'not_found'],
    ['for an execution that is not there', 'GET', '/executions/exe_1', undefined, 404, 'not_found'],
    ['for a body that is no JSON', 'POST', '/execute', '{', 400, 'malformed_json'],
    ['for unknown fields', 'POST', '/execute', { tool: 'echo', shell: 'id' }, 400, 'validation_failed'],
    ['for a tool that is not here', 'POST', '/execute', { tool: 'sh', args: {} }, 409, 'tool_not_offered'],
    [
      'for arguments beyond the schema',
      'POST',
      '/execute',
      { tool: 'echo', args: { count: 101 } },
      400,
      'validation_failed',
    ],
    [
      'for a session that is none',
      'DELETE',
      '/sessions/..%2f/workspace',
      undefined,
      400,
      'validation_failed',
    ],
    [
      'for too much',
      'POST',
      '/execute',
      { tool: 'echo', args: { text: 'x'.repeat(1_100_000) } },
      413,
      'payload_too_large',
    ],
  ])('%s', async (_title, method, path, body, status, code) => {
    const answer = await call(method, path, body)
    expect(answer.body).toMatchObject({
      code,
      status,
      hint: expect.any(String),
      requestId: expect.stringMatching(/^req_/),
    })
    expect(answer.status).toBe(status)
  })
})
