/** The supervisor of PostgreSQL in a process of its own, to be killed: `node postgres.ts <dataDir> <port>`. */
import { startEmbeddedPostgres } from '@orien/coordinator'

const [dataDir = '', port = ''] = process.argv.slice(2)
const postgres = await startEmbeddedPostgres({
  dataDir,
  port: Number(port),
  log: (entry) =>
    console.log(JSON.stringify(entry, (_, value) => (value instanceof Error ? `${value}` : value))),
})
console.log(`ready ${JSON.stringify({ url: postgres.url, pid: postgres.status().pid })}`)
process.on('SIGTERM', () => void postgres.stop().then(() => process.exit(0)))
