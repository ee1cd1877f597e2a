import { writeFile } from 'node:fs/promises'
import { type McpContent, startMcpServer } from './client.ts'

/**
 * What a tool of an imported MCP server runs, inside the sandbox: starts the server, calls one of its tools, prints
 * the answer.
 *
 *     node call.ts --tool=NAME [--TYPE.NAME=VALUE …] -- COMMAND [ARG …]
 *
 * TYPE is `str`, `num` or `bool`, or `strs` or `nums` for one item of a list: the command line has texts only.
 */

const EXTENSIONS: Readonly<Record<string, string>> = {
  'image/png': '.png',
  'image/jpeg': '.jpg',
  'image/webp': '.webp',
  'audio/wav': '.wav',
  'audio/mpeg': '.mp3',
}

type Call = { tool: string; args: Record<string, unknown>; command: string[] }

function readCall(argv: readonly string[]): Call {
  const end = argv.indexOf('--')
  const args: Record<string, unknown> = {}
  let tool = ''
  for (const element of argv.slice(0, end)) {
    const [, key = '', value = ''] = /^--([^=]*)=(.*)$/s.exec(element) ?? []
    if (key === 'tool') {
      tool = value
      continue
    }
    const dot = key.indexOf('.')
    const [type, name] = [key.slice(0, dot), key.slice(dot + 1)]
    if (type === 'strs' || type === 'nums') {
      const items = (args[name] ?? []) as unknown[]
      args[name] = [...items, type === 'nums' ? Number(value) : value]
    } else args[name] = type === 'num' ? Number(value) : type === 'bool' ? value === 'true' : value
  }
  return { tool, args, command: argv.slice(end + 1) }
}

/** Text is printed; what is not text becomes a file of the workspace, whose name is printed. */
async function show(content: McpContent, index: number): Promise<string> {
  if (content.data === undefined) return content.text ?? JSON.stringify(content)
  const name = `answer-${index + 1}${EXTENSIONS[content.mimeType ?? ''] ?? '.bin'}`
  await writeFile(name, Buffer.from(content.data, 'base64'))
  return name
}

const { tool, args, command } = readCall(process.argv.slice(2))
try {
  const server = await startMcpServer(command, 'orien')
  const { content = [], structuredContent, isError } = await server.callTool(tool, args)
  const lines = await Promise.all(content.map(show))
  if (lines.length === 0 && structuredContent !== undefined) lines.push(JSON.stringify(structuredContent))
  for (const line of lines) process.stdout.write(`${line}\n`)
  process.exitCode = isError === true ? 1 : 0
  await server.close()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
