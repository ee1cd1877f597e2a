/** A provider node with other pauses than its own: `node hastyNode.ts '{"claimLookMs":200}' <data directory>`. */
import { startNode } from '@orien/provider-node'
import { pino } from 'pino'

const [timing = '{}', dataDir = ''] = process.argv.slice(2)
const log = pino({ level: process.env.ORIEN_LOG_LEVEL ?? 'silent', base: null })
const node = await startNode({
  dataDir,
  timing: JSON.parse(timing),
  searchPath: process.env.PATH ?? '',
  onFailure: () => process.exit(1),
  log,
})
process.on('SIGTERM', () => void node.stop())
