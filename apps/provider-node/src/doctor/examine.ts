import { existsSync } from 'node:fs'
import { type Clock, systemClock } from '../clock.ts'
import type { LinkStatus } from '../link/link.ts'
import { SYSTEM_PATH } from '../sandbox/names.ts'
import {
  checkJournal,
  checkKeys,
  checkProcess,
  checkProvider,
  checkRulesFile,
  checkTools,
} from './checkFiles.ts'
import { checkDisk, checkPort, checkSandbox, PROC_SYS } from './checkMachine.ts'
import { checkCoordinator, checkGas, checkRpc, clockFinding } from './checkNetwork.ts'
import { type Finding, fault, ok } from './finding.ts'

/** What the doctor looks at; what is left out comes from the provider's file, or has a plain default. */
export type ExamineOptions = {
  dataDir: string
  manifestFile: string
  coordinatorUrl?: string | undefined
  rpcUrl?: string | undefined
  /** Where executables of tools are looked for. */
  searchPath?: string
  /** Where bubblewrap is looked for; not the PATH of whoever asks. Null leaves the sandbox out: its proof takes seconds. */
  systemPath?: string | null
  port?: number
  enoughBytes?: number
  procSys?: string
  clock?: Clock
}

/** Looks at everything that keeps a node from being rented, one finding after the other; it mends nothing. */
export async function* examine(options: ExamineOptions): AsyncGenerator<Finding> {
  const { dataDir, clock = systemClock, searchPath = SYSTEM_PATH, systemPath = SYSTEM_PATH } = options
  const { finding, provider } = await checkProvider(dataDir)
  yield finding
  if (provider) yield* await checkKeys(dataDir)
  const { finding: process, status } = await checkProcess(dataDir)
  if (provider) {
    yield process
    yield await checkRulesFile(dataDir)
    yield await checkJournal(dataDir)
  }
  yield* await checkTools(options.manifestFile, searchPath)
  if (systemPath !== null) yield* await checkSandbox(systemPath, options.procSys ?? PROC_SYS)
  if (existsSync(dataDir)) yield await checkDisk(dataDir, options.enoughBytes)
  // The running node holds its own port.
  if (status === null) yield await checkPort(options.port ?? 0)
  if (!provider) return
  const rpcUrl = options.rpcUrl ?? provider.rpcUrl
  const rpc = await checkRpc(rpcUrl, provider)
  yield rpc
  if (rpcUrl !== undefined && rpc.state === 'ok') yield* await checkGas(rpcUrl, provider)
  const link = status?.link as LinkStatus | undefined
  if (link) yield linkFinding(link)
  const seen = await checkCoordinator(options.coordinatorUrl ?? provider.coordinatorUrl, provider, clock)
  // The node itself measures finer than an HTTP date can.
  yield* link?.clock ? seen.filter(({ check }) => check !== 'clock') : seen
  if (link?.clock) yield clockFinding(link.clock.skewMs, link.clock.uncertaintyMs)
}

function linkFinding({ state, refusal, rival }: LinkStatus): Finding {
  if (refusal) {
    const code = refusal.code === 'duplicate_node' ? 'duplicate_node' : 'coordinator_refuses'
    return fault('link', code, `${refusal.code}: ${refusal.detail}`)
  }
  if (rival) return fault('link', 'duplicate_node', `${rival.detail} (${rival.at})`)
  return state === 'live'
    ? ok('link', 'connected')
    : fault('link', 'coordinator_unreachable', 'the node tries to connect')
}
