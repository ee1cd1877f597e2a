import { afterAll, beforeAll, expect, test } from 'vitest'
import { carry, makeFile } from './carry.ts'
import { openTransferPlace, type TransferPlace } from './transferPlace.ts'

const MEBIBYTE = 1_048_576
const FILE_BYTES = 128 * MEBIBYTE
/** What one side may hold more than before; far below the file. */
const BOUND_BYTES = 64 * MEBIBYTE

let here: TransferPlace
beforeAll(async () => {
  here = await openTransferPlace(2 * FILE_BYTES)
}, 120_000)
afterAll(() => here.stop())

test('a file goes up and comes down whole, and neither agent nor coordinator nor node grows with it', async () => {
  const session = await here.openSession()
  const file = makeFile(FILE_BYTES)
  // What the first bytes of any size take is no growth with the size.
  await session.upload('first', new Uint8Array(8 * MEBIBYTE))
  await session.download('first')
  for (const direction of ['up', 'down'] as const) {
    const carried = await carry(here, { sessionId: session.id, file: file.path, direction })
    expect(carried).toMatchObject({ bytes: FILE_BYTES, sha256: file.sha256 })
    expect(carried.grownBytes).toBeLessThan(BOUND_BYTES)
    expect(carried.coordinatorGrownBytes).toBeLessThan(BOUND_BYTES)
    expect(carried.nodeGrownBytes).toBeLessThan(BOUND_BYTES)
  }
  file.remove()
}, 180_000)
