import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withTargets } from './canaries.ts'
import { type Bench, openBench, SANDBOX_MODES } from './testing/bench.ts'

const execute = promisify(execFile)
/** Links to libraries, on systems of Debian's kind. */
const ALTERNATIVES = existsSync('/etc/alternatives') ? ['alternatives'] : []
const SECRET_ENV = { ORIEN_SECRET: 'not for tools' }

describe.each(SANDBOX_MODES)('in a %s sandbox', (mode) => {
  let bench: Bench
  beforeAll(async () => {
    bench = await openBench({ mode })
  })
  afterAll(() => bench.close())

  /** The attack inside, and the same program with the same rights as the node outside. */
  async function attack(name: string, outside = name): Promise<{ inside: string; control: string }> {
    const inside = await bench.run(['try', name])
    const control = await execute(bench.canary, ['try', outside], { env: SECRET_ENV })
    const verdict = (text: string) => text.trim().split(' ').at(-1) ?? ''
    return { inside: verdict(inside.output.toString()), control: verdict(control.stdout) }
  }

  const CONTAINED = { inside: 'contained', control: 'escaped' }

  describe('an attack that works outside is contained inside', () => {
    it.each([
      ['ptrace', 'tracing another process'],
      ['memory', 'reading another process’s memory'],
      ['processes', 'seeing the host’s processes'],
      ['environment=ORIEN_SECRET', 'reading a secret of the environment'],
      ['vsock', 'a socket to the hypervisor'],
      ['netlink', 'a netlink socket'],
      ['packet', 'a packet socket'],
      ['unshare', 'a user namespace by unshare'],
      ['clone', 'a user namespace by clone'],
      ['clone3', 'a user namespace by clone3'],
      ['mount', 'mounting over /tmp'],
      ['setns', 'entering a namespace'],
      ['chroot', 'changing the root'],
      ['keyring', 'the session keyring inherited from the node'],
      ['key', 'adding a key'],
      ['queue', 'a message queue that outlives its maker'],
      ['bpf', 'loading a BPF map'],
      ['perf', 'performance counters'],
      ['io_uring', 'io_uring'],
      ['userfaultfd', 'handling page faults'],
      ['kernel_log', 'the kernel’s log'],
      ['handle', 'file handles'],
      ['tiocsti=0', 'typing into a terminal'],
      ['tiocsti=1', 'typing into a terminal with upper bits set in the request'],
      ['tiocsetd', 'changing a line discipline'],
      ['negative_nice', 'a priority above everybody’s'],
      ['device', 'making a device'],
      ['fifo', 'making a FIFO that a reader would hang on'],
      ['set_id', 'a set-user-id file by chmod'],
      ['create_set_id', 'a set-user-id file by open'],
      ['int80', 'a call by the 32-bit convention'],
      ['write=/usr/lib/orien-canary', 'writing to the system'],
      ['write=/orien-canary', 'writing to the root'],
      ['read=/etc/shadow', 'reading the host’s passwords'],
      ['read=/proc/keys', 'listing keys'],
      ['read=/proc/version', 'learning the kernel’s build'],
    ])('%s: %s', async (name) => {
      expect(await attack(name)).toEqual(CONTAINED)
    })

    it.each(['limits_of', 'affinity_of', 'priority_of'])(
      '%s: changing the process that keeps the meter',
      async (name) => {
        expect(await attack(`${name}=1`, `${name}=${process.pid}`)).toEqual(CONTAINED)
      },
    )

    it('a secret that everybody may read, a port of the node and an abstract socket are out of reach', async () => {
      await withTargets(bench.stateDir, async ({ secretFile, port, abstractName }) => {
        expect(await attack(`read=${secretFile}`)).toEqual(CONTAINED)
        expect(await attack(`port=${port}`)).toEqual(CONTAINED)
        expect(await attack(`abstract=${abstractName}`)).toEqual(CONTAINED)
      })
    })

    it('a descriptor that the node inherited is closed before the tool starts', async () => {
      const dir = await mkdtemp(join(bench.workspaceDir, '..', 'inherit-'))
      const script = join(dir, 'run.ts')
      await writeFile(
        script,
        `import { createBubblewrapDriver } from ${JSON.stringify(new URL('./bubblewrap.ts', import.meta.url).pathname)}
       import { spawnSync } from 'node:child_process'
       const [stateDir, workspaceDir, canary] = process.argv.slice(2)
       const driver = createBubblewrapDriver({ stateDir })
       const limits = { timeMs: 5000, memoryBytes: 1 << 28, processes: 8, outputBytes: 1000 }
       const argv = [canary, 'try', 'descriptors']
       const inside = []
       const run = driver.run({ executionId: 'x', workspaceDir, argv, env: {}, limits, deadlineMs: 5000, readOnlyPaths: [] },
         ({ bytes }) => void inside.push(bytes))
       await run.finished
       process.stdout.write('inside ' + Buffer.concat(inside))
       await driver.close()
       process.stdout.write('control ' + spawnSync(canary, ['try', 'descriptors']).stdout)`,
      )
      // Node marks the descriptors that it starts with as close-on-exec, but stops at the first gap above 15.
      const inherited = `exec 200</dev/null; exec "$@"`
      const program = [process.execPath, script, join(dir, 'state'), bench.workspaceDir, bench.canary]
      const node = spawn('bash', ['-c', inherited, 'bash', ...program], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const output: Buffer[] = []
      node.stdout?.on('data', (chunk: Buffer) => output.push(chunk))
      await once(node, 'close')
      await rm(dir, { recursive: true })
      const text = Buffer.concat(output).toString()
      expect(text).toContain('inside descriptors contained')
      expect(text).toContain('control descriptors escaped')
    })
  })

  describe('what a tool sees', () => {
    const nodeRun = (code: string) => bench.run([], { argv: [process.execPath, '-e', code] })

    it('is uid 1000 without any capability, and cannot gain one', async () => {
      const facts = await nodeRun(
        `process.stdout.write(require('fs').readFileSync('/proc/self/status', 'utf8'))`,
      )
      const status = facts.output.toString()
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
        expect(status).toContain(`${set}:\t0000000000000000`)
      expect(status).toMatch(/NoNewPrivs:\t1/)
      expect(status).toMatch(/Uid:\t1000\t1000\t1000\t1000/)
    })

    it('has only its own runtime, and no shell', async () => {
      const facts = await nodeRun(`const fs = require('fs')
      console.log(JSON.stringify([fs.existsSync('/bin/sh'), fs.existsSync('/usr/bin/env'), fs.readdirSync('/etc').sort(), process.env]))`)
      expect(JSON.parse(facts.output.toString())).toEqual([
        false,
        false,
        [...ALTERNATIVES, 'group', 'ld.so.cache', 'passwd'],
        {},
      ])
    })

    it('finds no host path in its own command lines, environment or mounts', async () => {
      const facts = await nodeRun(`const fs = require('fs')
      for (const name of ['/proc/1/cmdline', '/proc/self/environ']) console.log(fs.readFileSync(name, 'utf8'))
      try { console.log(fs.readFileSync('/proc/1/environ', 'utf8')) } catch (error) { console.log(error.code) }`)
      expect(facts.output.toString()).not.toContain(bench.stateDir)
      expect(facts.output.toString()).not.toContain('state')
      expect(facts.output.toString()).toContain('EACCES')
    })

    it('has a network without any way out', async () => {
      const facts = await nodeRun(
        `fetch('http://169.254.169.254/').catch((error) => console.log(error.cause.code))`,
      )
      expect(facts.output.toString().trim()).toBe('ENETUNREACH')
    })

    it('runs a set-user-id program of the workspace without its rights', async () => {
      const program = join(bench.workspaceDir, 'setid')
      await copyFile(bench.canary, program)
      await execute('chmod', ['4755', program])
      const facts = await bench.run([], { argv: ['/workspace/setid', 'try', 'chroot'] })
      expect(facts.output.toString()).toBe('chroot contained\n')
    })
  })

  describe('the self-test', () => {
    it('refuses to serve strangers when the system-call filter lets everything through', async () => {
      const other = await openBench({ mode })
      await other.driver.detect()
      const allowAll = Buffer.from('060000000000ff7f', 'hex')
      await writeFile(join(other.stateDir, 'seccomp.bpf'), allowAll)
      const { servesStrangers, refusal } = await other.driver.detect()
      expect(servesStrangers).toBe(false)
      expect(refusal?.code).toBe('canary_failed')
      for (const name of ['vsock', 'ptrace', 'keyring', 'tiocsetd', 'affinity_of=1', 'fifo'])
        expect(refusal?.detail).toContain(name)
      await other.close()
    })

    it('finds every attack contained here and reaches the strongest class', async () => {
      const isolation = await bench.driver.detect()
      expect(isolation).toMatchObject({ isolationClass: 'namespaces+cgroups', servesStrangers: true })
      expect(isolation.canaries.length).toBeGreaterThan(40)
      expect(isolation.canaries.filter(({ contained }) => !contained)).toEqual([])
    })
  })
})
