import { describe, expect, it } from 'vitest'
import type { RunSpec } from './driver.ts'
import { createSeatbeltDriver, inSeatbelt, seatbeltProfile } from './seatbelt.ts'

const spec: RunSpec = {
  executionId: 'exe_mac',
  workspaceDir: '/private/o/work space',
  argv: ['/opt/tool', '--flag', 'x" (allow default) "'],
  env: {},
  limits: { timeMs: 1_000, memoryBytes: 1, processes: 1, outputBytes: 1 },
  deadlineMs: 1_000,
  readOnlyPaths: ['/opt/say "hi"\\n'],
}

describe('the driver for macOS', () => {
  it('refuses strangers on every machine, with the code of its reason', async () => {
    for (const [platform, code] of [
      ['darwin', 'driver_unproven'],
      ['linux', 'no_isolation'],
    ] as const)
      expect(await createSeatbeltDriver(platform).detect()).toMatchObject({
        driver: 'seatbelt',
        isolationClass: 'none',
        servesStrangers: false,
        refusal: { code },
      })
  })

  it('lets nothing but the workspace be written, and no network be reached', () => {
    const profile = seatbeltProfile(spec)
    expect(profile).toContain('(deny default)')
    expect(profile).toContain('(allow file-write* (subpath "/private/o/work space"))')
    expect(profile).toContain('(deny network*)')
  })

  it('a path cannot leave its string in the profile, and arguments never enter it', () => {
    const profile = seatbeltProfile(spec)
    expect(profile).toContain('(subpath "/opt/say \\"hi\\"\\\\n")')
    expect(profile).not.toContain('allow default')
    expect(inSeatbelt(spec).argv.slice(-3)).toEqual(spec.argv)
  })
})
