import { afterEach, describe, expect, test } from 'vitest'
import { killHard, lostCommits, query, writeUntilCut } from './embedded/fixtures/faults.ts'
import { canMakeDisk, makeKeptDisk } from './embedded/fixtures/keptDisk.ts'
import { postgresProcesses } from './embedded/remains.ts'

type Disk = Awaited<ReturnType<typeof makeKeptDisk>>
type Supervisor = ReturnType<Disk['start']>

let disk: Disk
const started: Supervisor[] = []

function start(): Supervisor {
  const supervisor = disk.start()
  started.push(supervisor)
  return supervisor
}

/** Ends a supervisor with SIGKILL; the kernel ends its PostgreSQL. */
async function end({ child }: Supervisor): Promise<void> {
  await killHard(child)
  await expect.poll(() => postgresProcesses(disk.clusterDir, null), { timeout: 20_000 }).toEqual([])
}

/** A cluster that was cut off in the middle of its work: recovery has something to do. */
async function cutOff(): Promise<number[]> {
  disk = await makeKeptDisk()
  const supervisor = start()
  const { url = '' } = await supervisor.nextAnswer()
  const enough = Promise.withResolvers<void>()
  const writing = writeUntilCut(url, (count) => count === 50 && enough.resolve(), 'table')
  await enough.promise
  await end(supervisor)
  return writing
}

afterEach(async () => {
  for (const supervisor of started.splice(0)) await killHard(supervisor.child)
  disk?.remove()
})

describe.runIf(canMakeDisk)(
  'a start on a disk that has filled since the last one',
  { timeout: 120_000 },
  () => {
    test('to its last byte is refused by name, however often, loses nothing, and succeeds when there is room', async () => {
      const acknowledged = await cutOff()
      disk.fill(0)
      expect(disk.freeBytes()).toBe(0)
      for (let attempt = 0; attempt < 3; attempt += 1) {
        const refused = start()
        expect(await refused.nextAnswer()).toEqual({ code: 'setup_failed', reason: 'disk_full' })
        await end(refused)
      }
      disk.makeRoom()
      const { url = '' } = await start().nextAnswer()
      expect(await lostCommits(url, acknowledged)).toEqual([])
      expect(await query(url, 'INSERT INTO commits VALUES (-1) RETURNING id')).toEqual([{ id: -1 }])
    })

    test('is tried again by whoever asked, in the same process, and succeeds when there is room', async () => {
      const acknowledged = await cutOff()
      disk.fill(0)
      const supervisor = start()
      expect(await supervisor.nextAnswer()).toMatchObject({ reason: 'disk_full' })
      disk.makeRoom()
      supervisor.tryAgain()
      const { url = '' } = await supervisor.nextAnswer()
      expect(await lostCommits(url, acknowledged)).toEqual([])
    })

    test.each([65_536, 8_388_608])(
      'but for %i bytes either is refused by name or serves what it has, and loses nothing',
      async (bytes) => {
        const acknowledged = await cutOff()
        disk.fill(bytes)
        const supervisor = start()
        const answer = await supervisor.nextAnswer()
        if (answer.url === undefined) expect(answer).toEqual({ code: 'setup_failed', reason: 'disk_full' })
        else expect(await lostCommits(answer.url, acknowledged)).toEqual([])
        await end(supervisor)
        disk.makeRoom()
        const { url = '' } = await start().nextAnswer()
        expect(await lostCommits(url, acknowledged)).toEqual([])
      },
    )
  },
)
