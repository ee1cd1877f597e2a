import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { mountsBelow, unmount } from './unmount.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'orien-mounts-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const mount = (name: string) => {
  const path = join(dir, name)
  mkdirSync(path)
  execFileSync('mount', ['-t', 'tmpfs', 'test', path])
  return path
}

const canMount = process.getuid?.() === 0

describe('many mounts taken down at once', () => {
  test.runIf(canMount)('are all gone, whatever their names', async () => {
    const paths = ['a', 'b c', 'd\te', 'f\\g', '-l'].map(mount)
    expect(mountsBelow(dir).sort()).toEqual(paths.toSorted())
    await Promise.all(paths.map(unmount))
    expect(mountsBelow(dir)).toEqual([])
  })

  test.runIf(canMount)('are gone though another was gone before', async () => {
    const [first, second] = [mount('first'), mount('second')]
    const absent = join(dir, 'absent')
    await Promise.all([unmount(first), unmount(absent), unmount(second)])
    expect(mountsBelow(dir)).toEqual([])
  })

  test.runIf(canMount)('go on after a command that failed', async () => {
    writeFileSync(join(dir, 'file'), '')
    await unmount(join(dir, 'file'))
    const path = mount('later')
    await unmount(path)
    expect(mountsBelow(dir)).toEqual([])
  })

  test.runIf(canMount)(
    'are told with their code where something is still mounted, and the next one is asked for all the same',
    async () => {
      const twice = mount('twice')
      execFileSync('mount', ['-t', 'tmpfs', 'test', twice])
      const failed = Promise.allSettled([unmount(twice), unmount(join(dir, 'absent'))])
      expect(await failed).toMatchObject([
        { status: 'rejected', reason: { code: 'setup_failed' } },
        { status: 'fulfilled' },
      ])
      await unmount(twice)
      expect(mountsBelow(dir)).toEqual([])
    },
  )
})
