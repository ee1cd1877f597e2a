import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import { startNode } from '../node/startNode.ts'
import { createProcessDriver } from '../sandbox/unsandboxed.ts'
import { startCoordinator, type TestCoordinator } from '../testing/coordinator.ts'
import { CHAIN, FIXTURES, makeDataDir, nodeOptions, removeDir } from '../testing/node.ts'
import { type RpcFacts, startRpcStandIn } from '../testing/rpc.ts'
import { checkDisk, checkPort, checkSandbox } from './checkMachine.ts'
import { type ExamineOptions, examine } from './examine.ts'
import { FAULTS, type Finding } from './finding.ts'

let coordinator: TestCoordinator
let dataDir = ''
const closers: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  coordinator = await startCoordinator()
  dataDir = await makeDataDir(coordinator.url)
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  await coordinator.close()
  await removeDir(dataDir)
})

/** Everything but the sandbox, which has tests of its own here: its proof takes seconds. */
async function look(given: Partial<ExamineOptions> = {}): Promise<Finding[]> {
  const findings: Finding[] = []
  const manifestFile = join(FIXTURES, 'orien.tools.yaml')
  for await (const finding of examine({ dataDir, manifestFile, systemPath: null, ...given }))
    findings.push(finding)
  return findings
}

const codesOf = (findings: readonly Finding[]) =>
  findings.flatMap((finding) => (finding.state === 'ok' ? [] : [finding.code]))

/** Answers as a coordinator's front page, as far as the doctor asks. */
async function answering(answers: Record<string, unknown>, date = new Date()): Promise<string> {
  const server = createServer(({ url = '' }, response) => {
    response.writeHead(url in answers ? 200 : 404, { date: date.toUTCString() })
    response.end(JSON.stringify(answers[url] ?? null))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => new Promise((resolve) => server.close(resolve)))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function rpcOf(facts: RpcFacts = {}): Promise<string> {
  const { url, close } = await startRpcStandIn(facts)
  closers.push(close)
  return url
}

const place = { '/.well-known/orien.json': { chainId: CHAIN.chainId, escrow: CHAIN.escrow } }

describe('the doctor', () => {
  test('finds nothing where all is right, but that a node which never ran does not run and is not registered', async () => {
    const [rpcUrl, coordinatorUrl] = [await rpcOf(), await answering(place)]
    const findings = await look({ rpcUrl, coordinatorUrl })
    expect(codesOf(findings)).toEqual(['node_stopped', 'not_registered'])
    expect(findings.map(({ check }) => check)).toEqual(
      expect.arrayContaining([
        'node',
        'keys',
        'process',
        'rules',
        'journal',
        'tools',
        'disk',
        'port',
        'rpc',
        'clock',
      ]),
    )
  })

  test('says that there is no node, and what of the machine can be said all the same', async () => {
    const findings = await look({ dataDir: join(dataDir, 'nowhere') })
    expect(codesOf(findings)).toEqual(['node_missing'])
    expect(findings).toContainEqual(expect.objectContaining({ check: 'tools', state: 'ok' }))
  })

  test('names keys that are gone or open to others, and files that are damaged', async () => {
    await chmod(join(dataDir, 'node.key'), 0o644)
    await rm(join(dataDir, 'operator.key'))
    await writeFile(join(dataDir, 'rules.json'), '{')
    await mkdir(join(dataDir, 'journal'))
    await writeFile(join(dataDir, 'journal', 'journal.jsonl'), 'damaged\n{}\n')
    expect(codesOf(await look())).toEqual(
      expect.arrayContaining(['key_readable_by_others', 'key_missing', 'rules_wrong', 'journal_damaged']),
    )
    await writeFile(join(dataDir, 'provider.json'), '{}')
    expect(codesOf(await look())).toContain('provider_file_wrong')
  })

  test('gives the line of each mistake of the tools file, and names the program that is missing', async () => {
    const manifestFile = join(dataDir, 'orien.tools.yaml')
    await writeFile(manifestFile, 'tools:\n  - id: Bad!\n    description: ""\n')
    const [first] = (await look({ manifestFile })).filter(({ check }) => check === 'tools')
    expect(first).toMatchObject({ code: 'tools_file_wrong', detail: expect.stringMatching(/yaml:\d+:\d+ /) })
    await writeFile(
      manifestFile,
      'tools:\n  - { id: lost, description: x, arguments: { properties: {}, required: [] }, executable: no-such-program, argv: [], limits: { timeMs: 1000, memoryBytes: 8388608, processes: 1, diskBytes: 1048576, outputBytes: 1024 } }\n',
    )
    const [lost] = (await look({ manifestFile })).filter(({ check }) => check === 'tools')
    expect(lost).toMatchObject({
      code: 'executable_missing',
      detail: expect.stringMatching(
        /^orien\.tools\.yaml:2:\d+ tools\[0\]\.executable tool lost: .*no-such-program$/,
      ),
    })
  })

  test('tells a chain that does not answer from one that is another, and from one without the very contract', async () => {
    expect(codesOf(await look({ rpcUrl: 'http://127.0.0.1:1' }))).toContain('rpc_unreachable')
    expect(codesOf(await look({ rpcUrl: await rpcOf({ chainId: 1 }) }))).toContain('rpc_wrong_chain')
    expect(codesOf(await look({ rpcUrl: await rpcOf({ code: '0x' }) }))).toContain('escrow_missing')
    const strange = await rpcOf({ terms: { token: `0x${'ab'.repeat(20)}` } })
    expect(codesOf(await look({ rpcUrl: strange }))).toContain('escrow_not_genuine')
    expect(codesOf(await look())).toContain('rpc_missing')
  })

  test('tells a coordinator that does not answer from one of another chain, and sees a clock that is wrong', async () => {
    expect(codesOf(await look({ coordinatorUrl: 'http://127.0.0.1:1' }))).toContain('coordinator_unreachable')
    const other = { '/.well-known/orien.json': { chainId: 1, escrow: CHAIN.escrow } }
    expect(codesOf(await look({ coordinatorUrl: await answering(other) }))).toContain(
      'coordinator_other_chain',
    )
    const late = await answering(place, new Date(Date.now() - 600_000))
    expect(codesOf(await look({ coordinatorUrl: late }))).toContain('clock_skewed')
    const early = { ...systemClock, nowMs: () => Date.now() + 20_000 }
    expect(codesOf(await look({ coordinatorUrl: await answering(place), clock: early }))).not.toContain(
      'clock_skewed',
    )
  })

  test('asks a node that runs how its link stands, and says when the owner has paused it', async () => {
    const driver = createProcessDriver()
    const node = await startNode({ ...nodeOptions(dataDir), driver, allowUnisolated: true })
    closers.push(node.stop)
    await node.live
    await node.changeRules({ mode: 'draining' })
    const findings = await look()
    expect(codesOf(findings)).toContain('paused')
    expect(findings).toContainEqual(expect.objectContaining({ check: 'link', state: 'ok' }))
    expect(findings).toContainEqual(expect.objectContaining({ check: 'clock', state: 'ok' }))
    expect(findings.map(({ check }) => check)).not.toContain('port')
  })
})

describe('what the doctor sees of the machine', () => {
  test('a missing bubblewrap is called so', async () => {
    expect(await checkSandbox('/nowhere', '/proc/sys')).toEqual([
      expect.objectContaining({ state: 'fault', code: 'bubblewrap_missing', fix: FAULTS.bubblewrap_missing }),
    ])
  })

  test('each switch by which a kernel forbids user namespaces is named with its own remedy', async () => {
    const bin = join(dataDir, 'bin')
    const sys = join(dataDir, 'sys', 'kernel')
    await mkdir(bin)
    await mkdir(sys, { recursive: true })
    // bubblewrap as it is where the kernel refuses it a namespace.
    const text =
      '#!/bin/sh\n[ "$1" = --version ] && { echo "bubblewrap 0.11.0"; exit 0; }\necho "No permissions to create new namespace" >&2; exit 1\n'
    await writeFile(join(bin, 'bwrap'), text, { mode: 0o755 })
    const code = async () => codesOf(await checkSandbox(`${bin}:/usr/bin:/bin`, join(dataDir, 'sys')))
    expect(await code()).toEqual(['userns_forbidden'])
    await writeFile(join(sys, 'apparmor_restrict_unprivileged_userns'), '1\n')
    expect(await code()).toEqual(['userns_restricted_by_apparmor'])
    await writeFile(join(sys, 'unprivileged_userns_clone'), '0\n')
    expect(await code()).toEqual(['userns_disabled'])
  })

  test('a disk with too little room and a port that is taken are found before the node needs them', async () => {
    expect(await checkDisk(dataDir, Number.MAX_SAFE_INTEGER)).toMatchObject({ code: 'disk_low' })
    const { port } = new URL(await answering({}))
    expect(await checkPort(Number(port))).toMatchObject({ code: 'port_in_use' })
  })
})
