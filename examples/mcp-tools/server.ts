/** A stock MCP server, as anyone writes one. ORIEN imports its tools as they are. */
import { McpServer } from '@modelcontextprotocol/server'
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio'
import { z } from 'zod'

const server = new McpServer({ name: 'paper', version: '1.0.0' })

server.registerTool(
  'fold_paper',
  {
    description: 'How thick a sheet of paper is that was folded in half so many times, in metres.',
    inputSchema: z.object({ folds: z.int().min(0).max(100) }),
  },
  async ({ folds }) => ({ content: [{ type: 'text', text: `${0.0001 * 2 ** folds}` }] }),
)

await server.connect(new StdioServerTransport())
