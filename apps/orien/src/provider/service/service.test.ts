import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { spawnOrien } from '../../commands/fixtures/spawnOrien.ts'
import { launchdPlist } from './launchdPlist.ts'
import { placeOf } from './place.ts'
import { systemdUnit } from './systemdUnit.ts'

const execute = promisify(execFile)
const ANALYZE = '/usr/bin/systemd-analyze'
const UNUSUAL = 'a node\'s "home" 50% \\ $HOME & <more>'

let root = ''
let dataDir = ''
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'orien service-'))
  await execute('chmod', ['755', root])
  dataDir = join(root, UNUSUAL)
  await mkdir(dataDir)
  await writeFile(join(dataDir, 'provider.json'), '{}')
})
afterEach(() => rm(root, { recursive: true }))

const terms = () => ({ command: [process.execPath, join(root, 'x y')], dataDir, user: userInfo().username })
const service = (...words: string[]) =>
  spawnOrien([
    'provider',
    'service',
    ...words,
    '--data-dir',
    dataDir,
    '--unit-dir',
    root,
    '--user',
    terms().user,
  ])

describe('the unit of a node', () => {
  test('lets its sandboxes have what they need: groups of its own, namespaces, a whole /proc', () => {
    const lines = systemdUnit(terms()).split('\n')
    for (const line of ['Delegate=yes', 'Restart=always', 'LimitNOFILE=65536', 'Slice=orien.slice'])
      expect(lines).toContain(line)
    const names = lines.map((line) => line.split('=')[0])
    for (const harmful of [
      ...['NoNewPrivileges', 'RestrictNamespaces', 'SystemCallFilter', 'PrivateDevices', 'RestrictSUIDSGID'],
      ...['ProtectKernelTunables', 'ProtectProc', 'ProtectHostname', 'ProtectControlGroups', 'PrivateUsers'],
      ...['MemoryDenyWriteExecute', 'LockPersonality', 'RestrictRealtime', 'ProtectClock'],
    ])
      expect(names).not.toContain(harmful)
  })

  test('cannot be given another line by a path', () => {
    expect(() => systemdUnit({ ...terms(), dataDir: '/a\nExecStartPre=/bin/sh' })).toThrow()
    expect(() => placeOf({ dataDir, user: 'root\nGroup=x' })).toThrow()
  })

  test.each(existsSync(ANALYZE) ? [[ANALYZE]] : [])('is one that %s finds no fault with', async (program) => {
    const path = join(root, 'orien-provider.service')
    await writeFile(path, systemdUnit({ ...terms(), command: [process.execPath, dataDir] }))
    const { stdout, stderr } = await execute(program, ['verify', '--man=no', path])
    expect(`${stdout}${stderr}`.split('\n').filter((line) => line.includes('orien-provider'))).toEqual([])
  })

  test('of macOS holds every path as it is', () => {
    const plist = launchdPlist({ ...terms(), command: [dataDir] })
    expect(plist).toContain('50% \\ $HOME &amp; &lt;more&gt;')
    expect(plist).toContain('<key>KeepAlive</key><true/>')
  })

  test('of macOS is a property list that Python reads, with every value of the kind that launchd wants', async () => {
    const words = [process.execPath, UNUSUAL, ']]>', '--flag=1']
    const path = join(root, 'orien.plist')
    await writeFile(path, launchdPlist({ ...terms(), command: words }))
    const read = 'import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], "rb"))))'
    const { stdout } = await execute('python3', ['-c', read, path])
    expect(JSON.parse(stdout)).toEqual({
      Label: 'org.orien.provider',
      UserName: terms().user,
      ProgramArguments: words,
      RunAtLoad: true,
      KeepAlive: true,
      ThrottleInterval: 2,
      ExitTimeOut: 60,
      SoftResourceLimits: { NumberOfFiles: 65_536 },
      StandardErrorPath: `${dataDir}/node.log`,
    })
  })
})

describe('orien provider service', () => {
  test('installs once, says that nothing changes the second time, and removes it again', async () => {
    expect((await service('status')).code).toBe(1)
    expect((await service('install')).stdout).toContain('wrote')
    const unit = await readFile(join(root, 'orien-provider.service'), 'utf8')
    expect((await service('install')).stdout).toContain('is as it should be')
    expect((await service('status')).code).toBe(0)
    expect((await service('install', '--print')).stdout.trimEnd()).toBe(unit.trimEnd())
    expect(JSON.parse((await service('install', '--print', '--json')).stdout)).toMatchObject({ text: unit })
    expect((await service('uninstall')).code).toBe(0)
    expect(existsSync(join(root, 'orien-provider.service'))).toBe(false)
    expect((await service('uninstall')).stdout).toContain('there was no service')
    expect((await stat(join(dataDir, 'provider.json'))).isFile()).toBe(true)
  })

  test('shows what it would do and what is in the way, and does nothing of it', async () => {
    await rm(join(dataDir, 'provider.json'))
    await execute('chmod', ['700', root])
    const { code, stderr } = await spawnOrien([
      ...['provider', 'service', 'install', '--print', '--data-dir', dataDir],
      ...['--unit-dir', root, '--user', 'orien-of-this-test'],
    ])
    expect(code).toBe(0)
    for (const step of [
      'nothing was changed',
      'make the system user orien-of-this-test',
      `write ${join(root, 'orien-provider.service')}`,
      'in the way: there is no node in that directory',
      'in the way: the service has a /tmp of its own',
      `in the way: the service's user cannot enter ${root}`,
    ])
      expect(stderr).toContain(step)
    expect(existsSync(join(root, 'orien-provider.service'))).toBe(false)
    await expect(execute('id', ['-u', 'orien-of-this-test'])).rejects.toThrow()
  })

  test('installs nothing where there is no node', async () => {
    await rm(join(dataDir, 'provider.json'))
    const { code, stderr } = await service('install')
    expect(code).toBe(1)
    expect(stderr).toContain('orien provider init')
  })
})
