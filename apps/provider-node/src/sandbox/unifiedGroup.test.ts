import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makeUnified, placesFor } from './unifiedGroup.ts'

// Plain directories with the files that decide. What the kernel then counts is for the drivers' tests on a machine
// with version 2 to show; which group is taken can be shown on any.
let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'orien-unified-'))
})
afterEach(() => rm(root, { recursive: true }))

type Group = { processes?: readonly number[]; handsOn?: boolean; offers?: boolean; isBusy?: boolean }

/** @param path below the root @param group `isBusy`: the kernel would refuse to count for children */
async function group(path: string, { processes = [], handsOn, offers = true, isBusy }: Group) {
  const dir = join(root, path)
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'cgroup.controllers'), offers ? 'cpu memory pids' : 'hugetlb')
  await writeFile(join(dir, 'cgroup.procs'), processes.join('\n'))
  // A directory takes no writes, as the file of a group with processes takes none.
  if (isBusy) await mkdir(join(dir, 'cgroup.subtree_control'))
  else await writeFile(join(dir, 'cgroup.subtree_control'), handsOn ? 'memory pids' : '')
  return dir
}

const OTHER = 1

describe('the node’s own group of version 2', () => {
  it('is below the group that it was started in, where none above may be written, as in a service', async () => {
    await group('', { handsOn: false })
    const own = await group('node.service', { processes: [process.pid] })
    expect(makeUnified(placesFor(own, root), 'orien-1')).toBe(join(own, 'orien-1'))
  })

  it('is in the nearest group above that counts already, and moves nobody: a unit is ended for a tool that runs out of memory in it', async () => {
    await group('', { handsOn: true })
    const slice = await group('user.slice', { handsOn: true })
    await group('user.slice/closed', { handsOn: false })
    const own = await group('user.slice/closed/session.scope', {
      processes: [OTHER, process.pid],
      isBusy: true,
    })
    expect(makeUnified(placesFor(own, root), 'orien-1')).toBe(join(slice, 'orien-1'))
    expect(existsSync(join(own, 'orien-1-node'))).toBe(false)
    expect(existsSync(join(own, 'orien-1'))).toBe(false)
  })

  it('kills and counts time all the same where memory and processes are counted elsewhere', async () => {
    const own = await group('node', { offers: false })
    expect(makeUnified(placesFor(own, root), 'orien-1')).toBe(join(own, 'orien-1'))
  })

  it('is looked for beside the leaf that an earlier driver of the process moved it to, not inside', () => {
    const service = join(root, 'node.service')
    expect(placesFor(join(service, 'orien-0a1b-node'), root)).toEqual([service, root])
    expect(placesFor(root, root)).toEqual([root])
  })
})
