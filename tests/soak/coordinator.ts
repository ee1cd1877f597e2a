/** A coordinator in a process of its own, on a database and a chain of somebody else's: node coordinator.ts <json> */
import { startCoordinator } from '@orien/coordinator'
import type { Hex } from '@orien/protocol'
import { chains, signerFromPrivateKey } from '@orien/rails'
import { pino } from 'pino'

/** What the parent hands over. */
export type Place = {
  port: number
  dataDir: string
  databaseUrl: string
  rpcUrl: string
  escrow: Hex
  token: Hex
  relayerPrivateKey: Hex
}

const place = JSON.parse(process.argv[2] ?? '{}') as Place
const { port, dataDir, databaseUrl, rpcUrl, escrow, token, relayerPrivateKey } = place
const coordinator = await startCoordinator({
  config: {
    host: '127.0.0.1',
    port,
    baseUrl: `http://127.0.0.1:${port}`,
    dataDir,
    isProduction: false,
    requestsPerMinute: 1_000_000,
    leaseMs: 900_000,
    sweepEveryMs: 5_000,
    logLevel: 'info',
    version: 'soak',
  },
  databaseUrl,
  chain: { profile: chains.local, rpcUrl, escrow, token, signer: signerFromPrivateKey(relayerPrivateKey) },
  faucet: null,
  log: pino({ level: 'info' }),
})
process.once('SIGTERM', () => void coordinator.stop().then(() => process.exit(0)))
