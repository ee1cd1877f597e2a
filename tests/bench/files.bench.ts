import { createReadStream, createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Carried, carry, makeFile } from '../files/carry.ts'
import { openTransferPlace, type TransferPlace } from '../files/transferPlace.ts'
import type { BenchRow } from './row.ts'

const MEBIBYTE = 1_048_576
const FILE_BYTES = 1_024 * MEBIBYTE

/** Carries a gibibyte with an agent, a coordinator and a node in processes of their own. */
async function carryGibibyte(direction: 'up' | 'down'): Promise<{ carried: Carried; copyMs: number }> {
  const file = makeFile(FILE_BYTES)
  const here = await openTransferPlace(3 * FILE_BYTES)
  try {
    const session = await here.openSession()
    const errand = { sessionId: session.id, file: file.path }
    await warm(here, session.id)
    const up = await carry(here, { ...errand, direction: 'up' })
    const carried = direction === 'up' ? up : await carry(here, { ...errand, direction })
    if (carried.sha256 !== file.sha256) throw new TypeError('another file arrived')
    return { carried, copyMs: await copyMs(file.path) }
  } finally {
    await here.stop()
    file.remove()
  }
}

/** What the first transfer of any size takes is no growth with the size. */
async function warm({ agent }: TransferPlace, sessionId: Parameters<typeof agent.orien.session>[0]) {
  const session = await agent.orien.session(sessionId)
  await session.upload('first', new Uint8Array(8 * MEBIBYTE))
  await session.download('first')
}

async function copyMs(path: string): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'orien-copy-'))
  const beganMs = performance.now()
  await pipeline(createReadStream(path), createWriteStream(join(dir, 'copy')))
  const tookMs = performance.now() - beganMs
  rmSync(dir, { recursive: true })
  return tookMs
}

const inMebibytes = (bytes: number) => Math.round(bytes / MEBIBYTE)
const grown = ({ grownBytes, coordinatorGrownBytes, nodeGrownBytes }: Carried) =>
  [grownBytes, coordinatorGrownBytes, nodeGrownBytes].map(inMebibytes)

const rowOf = (direction: 'up' | 'down'): BenchRow => ({
  name: `files: 1 GiB ${direction}, agent to node through the coordinator, MiB a second`,
  reference: 'the same file copied on the disk by one Node process',
  better: 'higher',
  run: async () => {
    const { carried, copyMs: referenceMs } = await carryGibibyte(direction)
    const perSecond = (ms: number) => inMebibytes(FILE_BYTES) / (ms / 1_000)
    const note = `resident memory grew by ${grown(carried).join(', ')} MiB (agent, coordinator, node)`
    return {
      value: perSecond(carried.tookMs),
      referenceValue: perSecond(referenceMs),
      unit: 'MiB/s',
      note,
    }
  },
})

/** Memory is what has a bound: the most that one of the three grew by. */
const memoryRow: BenchRow = {
  name: 'files: 1 GiB down, most that agent, coordinator or node grew by',
  reference: 'the size of the file',
  better: 'lower',
  target: { value: 64 },
  run: async () => {
    const { carried } = await carryGibibyte('down')
    const value = Math.max(...grown(carried))
    return { value, referenceValue: inMebibytes(FILE_BYTES), unit: 'MiB' }
  },
}

export const rows: BenchRow[] = [rowOf('up'), rowOf('down'), memoryRow]
