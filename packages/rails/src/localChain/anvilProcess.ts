import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { OrienError } from '@orien/protocol'
import { anvilCommand } from './anvilBinary.ts'
import { LOCAL_CHAIN_LIMITS } from './limits.ts'

/** A running anvil that belongs to this process. */
export type AnvilProcess = { rpcUrl: string; pid: number; stop: () => Promise<void> }

/** How anvil runs. */
export type AnvilOptions = {
  /** 0 takes a free port. */
  port: number
  /** Loaded at the start when it exists; written every few seconds and at the end. */
  statePath?: string | undefined
}

/**
 * Starts anvil on 127.0.0.1 and resolves when it listens.
 *
 * It dies with this process. On Linux the kernel sees to it, even after a kill -9: `setpriv` (util-linux) asks
 * for SIGTERM at the parent's death and then becomes anvil, which writes its state and goes. "Parent" is the
 * thread that called, so a chain started in a worker thread ends with that thread. Without `setpriv` (macOS),
 * only an orderly exit of this process takes anvil along.
 *
 * @throws OrienError `setup_failed` when anvil ends or stays silent instead of listening
 */
export async function startAnvil(options: AnvilOptions): Promise<AnvilProcess> {
  const { program, leadingArguments } = anvilCommand()
  const command = [...tieToParent(), program, ...leadingArguments, ...anvilArguments(options)]
  const child = spawn(command[0] ?? program, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] })
  const killAtExit = () => child.kill('SIGKILL')
  process.once('exit', killAtExit)
  child.once('exit', () => process.removeListener('exit', killAtExit))
  const output = collectOutput(child)
  try {
    const rpcUrl = await listening(child, output)
    return { rpcUrl, pid: child.pid ?? 0, stop: () => stopChild(child) }
  } catch (cause) {
    await stopChild(child)
    throw new OrienError('setup_failed', `The local chain did not start: ${output.tail()}`, {}, { cause })
  }
}

function anvilArguments({ port, statePath }: AnvilOptions): string[] {
  const state = statePath === undefined ? [] : ['--state', statePath, '--state-interval']
  const everySeconds = statePath === undefined ? [] : [String(LOCAL_CHAIN_LIMITS.stateEverySeconds)]
  // The transaction gas limit is what Arc and other chains enforce since Osaka (EIP-7825).
  return ['--host', '127.0.0.1', '--port', String(port), '--enable-tx-gas-limit', ...state, ...everySeconds]
}

function tieToParent(): string[] {
  if (process.platform !== 'linux') return []
  const probe = spawnSync('setpriv', ['--pdeathsig', 'TERM', 'true'], { stdio: 'ignore' })
  return probe.status === 0 ? ['setpriv', '--pdeathsig', 'TERM'] : []
}

type Output = { lines: AsyncIterable<string>; tail: () => string }

function collectOutput(child: ChildProcess): Output {
  const kept: string[] = []
  const keep = (line: string) => {
    kept.push(line)
    if (kept.length > 5) kept.shift()
  }
  const { stdout, stderr } = child
  if (stdout === null || stderr === null) return { lines: (async function* () {})(), tail: () => '' }
  createInterface({ input: stderr }).on('line', keep)
  child.on('error', (error) => keep(error.message))
  return { lines: createInterface({ input: stdout }).on('line', keep), tail: () => kept.join(' ').trim() }
}

async function listening(child: ChildProcess, output: Output): Promise<string> {
  const late = setTimeout(() => child.kill('SIGKILL'), LOCAL_CHAIN_LIMITS.startMs)
  try {
    for await (const line of output.lines) {
      const address = /^Listening on (\S+)$/.exec(line)?.[1]
      if (address === undefined) continue
      // Unread output would fill the pipe and stop anvil.
      child.stdout?.resume()
      return `http://${address}`
    }
    throw new OrienError('setup_failed', 'anvil ended before it listened')
  } finally {
    clearTimeout(late)
  }
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const exited = once(child, 'exit')
  const late = setTimeout(() => child.kill('SIGKILL'), LOCAL_CHAIN_LIMITS.stopMs)
  child.kill('SIGTERM')
  await exited
  clearTimeout(late)
}
