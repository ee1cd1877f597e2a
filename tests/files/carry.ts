import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Errand, Errands } from './agent.ts'
import { resetPeak, residentBytes } from './memory.ts'
import type { TransferPlace } from './transferPlace.ts'

const program = fileURLToPath(new URL('./agent.ts', import.meta.url))
const BLOCK_BYTES = 1_048_576

/** A file on this machine's disk whose blocks all differ, and its hash. */
export function makeFile(bytes: number): { path: string; sha256: string; remove: () => void } {
  const dir = mkdtempSync(join(tmpdir(), 'orien-file-'))
  const path = join(dir, 'large')
  const file = openSync(path, 'w')
  const hash = createHash('sha256')
  const block = Buffer.alloc(BLOCK_BYTES, 'a block')
  for (let at = 0; at < bytes; at += BLOCK_BYTES) {
    block.writeUInt32LE(at)
    const piece = block.subarray(0, bytes - at)
    hash.update(piece)
    writeSync(file, piece)
  }
  closeSync(file)
  return { path, sha256: hash.digest('hex'), remove: () => rmSync(dir, { recursive: true }) }
}

/** How one transfer went, and by how much the three processes grew over what they held before it. */
export type Carried = Errands & { coordinatorGrownBytes: number; nodeGrownBytes: number }

/** Carries a file with an agent in a process of its own. */
export async function carry(
  { place, node, agent }: TransferPlace,
  errand: Pick<Errand, 'sessionId' | 'file' | 'direction'>,
): Promise<Carried> {
  const { url, chain } = place
  const given: Errand = { url, rpcUrl: chain.rpcUrl, privateKey: agent.privateKey, ...errand }
  const pids = [place.pid(), node.pid()] as const
  const before = pids.map((pid) => residentBytes(pid, 'VmRSS'))
  for (const pid of pids) resetPeak(pid)
  const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(given)])
  const [coordinatorGrownBytes = 0, nodeGrownBytes = 0] = pids.map(
    (pid, index) => residentBytes(pid, 'VmHWM') - (before[index] ?? 0),
  )
  return { ...(JSON.parse(stdout) as Errands), coordinatorGrownBytes, nodeGrownBytes }
}
