import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/**
 * A client of the Model Context Protocol over standard input and output, revision 2025-06-18: newline-delimited
 * JSON-RPC 2.0 (https://modelcontextprotocol.io/specification/2025-06-18/basic/transports). It runs inside the
 * sandbox, where no package can be seen, so it needs nothing but Node.
 */

const PROTOCOL_VERSION = '2025-06-18'
const METHOD_NOT_FOUND = -32_601
const MAX_PAGES = 20

/** What a server says of one of its tools; the schema is JSON Schema. */
export type McpTool = { name: string; description?: string; inputSchema: Record<string, unknown> }

/** One piece of a tool's answer. */
export type McpContent = { type: string; text?: string; data?: string; mimeType?: string }

/** A tool's answer. */
type McpResult = { content?: McpContent[]; structuredContent?: unknown; isError?: boolean }

/** A server that has said hello. */
export type McpServer = {
  name: string
  version: string
  listTools(): Promise<McpTool[]>
  callTool(name: string, args: Record<string, unknown>): Promise<McpResult>
  close(): Promise<void>
}

type Message = {
  id?: number | string
  method?: string
  result?: unknown
  error?: { message?: string }
}
type Waiting = { resolve: (result: never) => void; reject: (error: unknown) => void }
type Request = <T>(method: string, params: object) => Promise<T>
type Send = (message: object) => void

/**
 * Starts a server and greets it. Its standard error goes where ours goes.
 *
 * @throws Error when it cannot be started, ends early, or answers with an error; the message is the server's
 */
export async function startMcpServer(command: readonly string[], client: string): Promise<McpServer> {
  const { request, send, close } = converse(command)
  const hello = await request<{ serverInfo?: { name?: string; version?: string } }>('initialize', {
    protocolVersion: PROTOCOL_VERSION,
    capabilities: {},
    clientInfo: { name: client, version: '1' },
  })
  send({ method: 'notifications/initialized' })
  return {
    name: hello.serverInfo?.name ?? command[0] ?? '',
    version: hello.serverInfo?.version ?? '',
    listTools: () => listTools(request),
    callTool: (name, given) => request<McpResult>('tools/call', { name, arguments: given }),
    close,
  }
}

/** The server's process, and requests to it; all of them fail when it goes. */
function converse([program = '', ...args]: readonly string[]) {
  const server = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const waiting = new Map<number | string, Waiting>()
  const gone = Promise.withResolvers<void>()
  let nextId = 0
  let end: Error | null = null
  const fail = (error: Error) => {
    end ??= error
    for (const { reject } of waiting.values()) reject(end)
    waiting.clear()
    gone.resolve()
  }
  server.once('error', fail)
  server.once('close', (code) => fail(new TypeError(`the MCP server ended with ${code}`)))
  // A server that has gone is told by `close`.
  server.stdin.on('error', () => undefined)
  const send: Send = (message) =>
    void server.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  createInterface({ input: server.stdout }).on('line', (line) => {
    const message = readMessage(line)
    if (message) take(message, waiting, send)
  })
  const request: Request = <T>(method: string, params: object) => {
    if (end) return Promise.reject(end)
    const id = nextId
    nextId += 1
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    waiting.set(id, { resolve, reject })
    send({ id, method, params })
    return promise
  }
  const close = async () => {
    server.stdin.end()
    server.kill()
    await gone.promise
  }
  return { request, send, close }
}

/** A server that prints something else than JSON on its output is noisy, not broken. */
function readMessage(line: string): Message | null {
  try {
    const value: unknown = JSON.parse(line)
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : null
  } catch {
    return null
  }
}

function take(
  message: Message,
  waiting: Map<number | string, Waiting>,
  send: (message: object) => void,
): void {
  const { id, method } = message
  if (id === undefined) return
  if (method !== undefined) {
    const error = { code: METHOD_NOT_FOUND, message: `there is no ${method} here` }
    send(method === 'ping' ? { id, result: {} } : { id, error })
    return
  }
  const answer = waiting.get(id)
  waiting.delete(id)
  if (message.error) answer?.reject(new TypeError(message.error.message ?? 'the MCP server refused'))
  else answer?.resolve(message.result as never)
}

async function listTools(request: Request): Promise<McpTool[]> {
  const tools: McpTool[] = []
  let cursor: string | undefined
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const answer = await request<{ tools?: McpTool[]; nextCursor?: string }>(
      'tools/list',
      cursor ? { cursor } : {},
    )
    tools.push(...(answer.tools ?? []))
    cursor = answer.nextCursor
    if (cursor === undefined) break
  }
  return tools
}
