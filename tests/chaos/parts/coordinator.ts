/** A coordinator in a process of its own, to be killed: `node coordinator.ts <settings as JSON>`. */
import { startCoordinator } from '@orien/coordinator'
import { attachLocalChain, chains, signerFromPrivateKey } from '@orien/rails'
import { pino } from 'pino'
import type { CoordinatorSettings } from '../settings.ts'

const settings = JSON.parse(process.argv[2] ?? '') as CoordinatorSettings
const { directRpcUrl, closeGraceSeconds: grace } = settings
const chain = await attachLocalChain(directRpcUrl, grace === undefined ? undefined : BigInt(grace))
const coordinator = await startCoordinator({
  config: settings.config,
  databaseUrl: settings.databaseUrl,
  chain: {
    profile: chains[settings.profile],
    rpcUrl: settings.rpcUrl,
    escrow: chain.escrow,
    token: chain.usdc,
    signer: signerFromPrivateKey(chain.relayerPrivateKey),
  },
  faucet: null,
  log: pino({ level: 'info', base: null }, pino.destination({ fd: 1, sync: true })),
})
console.log('ready')
const stop = () => void coordinator.stop().then(() => process.exit(0))
process.on('SIGTERM', stop)
