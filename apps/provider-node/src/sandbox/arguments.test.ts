import { describe, expect, it } from 'vitest'
import { bubblewrapOptions, encodeOptions, type HostLayout, runtimePaths } from './arguments.ts'
import type { RunSpec } from './driver.ts'

const LAYOUT: HostLayout = {
  links: { '/lib': 'usr/lib' },
  directories: ['/usr/lib', '/etc/ld.so.cache'],
  masked: ['/proc/keys'],
}
const SPEC: RunSpec = {
  executionId: 'exe_1',
  workspaceDir: '/host/workspace',
  argv: ['/opt/tool/bin/tool', '--bind', '/', '/'],
  env: { SECRET: 'x' },
  limits: { timeMs: 1, memoryBytes: 2, processes: 3, outputBytes: 4, diskBytes: 5 },
  deadlineMs: 6,
  readOnlyPaths: ['/opt/tool', '/tmp/shown'],
}
const runtime = runtimePaths(SPEC, LAYOUT).map((path) => ({ path, source: `/stage${path}` }))
const options = bubblewrapOptions(SPEC, '/stage/workspace', runtime, LAYOUT)
const indexOf = (...words: string[]) =>
  options.findIndex((_, at) => words.every((word, i) => options[at + i] === word))

describe('bubblewrap’s options', () => {
  it('hold nothing of the tool’s own command line or environment', () => {
    expect(options).not.toContain('--bind /')
    expect(options.join(' ')).not.toContain('SECRET')
    expect(options.filter((option) => option === '--bind')).toHaveLength(1)
  })

  it('take every namespace and every right away', () => {
    for (const option of [
      ...['--unshare-all', '--unshare-user', '--die-with-parent', '--new-session', '--clearenv'],
      ...['--disable-userns', '--assert-userns-disabled', '--as-pid-1', '--seccomp'],
    ])
      expect(options).toContain(option)
    expect(indexOf('--cap-drop', 'ALL')).toBeGreaterThan(-1)
    expect(options).not.toContain('--dev-bind')
    expect(options).not.toContain('--share-net')
  })

  it('show the runtime read-only, under its own name, from where it can be reached', () => {
    expect(runtime.map(({ path }) => path)).toEqual([
      '/etc/ld.so.cache',
      '/opt/tool',
      '/tmp/shown',
      '/usr/lib',
    ])
    expect(indexOf('--ro-bind-try', '/stage/opt/tool', '/opt/tool')).toBeGreaterThan(-1)
  })

  it('reach what lies behind a link of the machine by that link, which nothing stands in the way of', () => {
    const named = { ...SPEC, argv: ['/lib/tool'], readOnlyPaths: ['/lib', '/lib/more', '/opt'] }
    const paths = runtimePaths(named, LAYOUT)
    expect(paths).toEqual(['/etc/ld.so.cache', '/opt', '/usr/lib'])
    const layout = { ...LAYOUT, links: { '/lib': 'usr/lib', '/opt/lib': 'elsewhere' } }
    const shown = paths.map((path) => ({ path, source: path }))
    const made = bubblewrapOptions(named, '/stage/workspace', shown, layout)
    expect(made.filter((_, at) => made[at - 2] === '--symlink')).toEqual(['/lib'])
  })

  it('make /tmp before what is shown below it, and close the root last of all', () => {
    expect(indexOf('--tmpfs', '/tmp')).toBeLessThan(indexOf('/stage/tmp/shown', '/tmp/shown'))
    expect(options.slice(-2)).toEqual(['--remount-ro', '/'])
  })

  it('size /tmp as the run says', () => {
    expect(indexOf('--size', '5', '--tmpfs', '/tmp')).toBeGreaterThan(-1)
  })

  it('are NUL-separated', () => {
    expect(encodeOptions(['--a', 'b c']).toString()).toBe('--a\0b c\0')
  })
})
