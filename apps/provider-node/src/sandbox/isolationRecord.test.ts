import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compareIsolation, isolationRecordPath } from './isolationRecord.ts'

let dataDir = ''
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'orien-class-'))
})
afterAll(() => rm(dataDir, { recursive: true }))

test('a weaker class than was ever reached is told at each start until the owner accepts it', async () => {
  expect(await compareIsolation(dataDir, 'namespaces')).toBeUndefined()
  expect(await compareIsolation(dataDir, 'namespaces+cgroups')).toBeUndefined()
  const told = { code: 'isolation_downgraded', from: 'namespaces+cgroups', to: 'namespaces' }
  for (let start = 0; start < 3; start += 1)
    expect(await compareIsolation(dataDir, 'namespaces')).toEqual(told)
  expect(await compareIsolation(dataDir, 'none')).toMatchObject({ to: 'none' })
  expect(await compareIsolation(dataDir, 'namespaces+cgroups')).toBeUndefined()
  await rm(isolationRecordPath(dataDir))
  expect(await compareIsolation(dataDir, 'namespaces')).toBeUndefined()
})

test('an unreadable record stops no start, and is written anew', async () => {
  await writeFile(isolationRecordPath(dataDir), '{"v":1,"isolationClass":"best"}')
  expect(await compareIsolation(dataDir, 'namespaces+cgroups')).toBeUndefined()
  expect(await compareIsolation(dataDir, 'none')).toMatchObject({ from: 'namespaces+cgroups' })
})
