import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Arena, openArena } from './api.ts'
import { buildPrograms } from './programs.ts'
import { openTargets, type Targets } from './targets.ts'

/** In every secret, and in nothing else: the tool looks for it and prints what follows. */
const MARK = 'CANARY-OF-ORIEN-'

const hunt = (dataDir: string, port: number) => `
import os, socket, sys, urllib.request
mark = ${JSON.stringify(MARK.slice(0, 7))} + ${JSON.stringify(MARK.slice(7))}
found = []
def look(where, data):
    at = data.find(mark.encode())
    if at >= 0: found.append((where, data[at:at + 80]))
look('environment', repr(dict(os.environ)).encode())
for root, dirs, files in os.walk('/'):
    if root.startswith(('/usr/lib', '/sys')): dirs[:] = []; continue
    if root.startswith('/proc/') and not root.startswith(('/proc/1', '/proc/self', '/proc/%d' % os.getpid())): dirs[:] = []; continue
    for name in files:
        path = os.path.join(root, name)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try: look(path, os.read(fd, 65536))
            finally: os.close(fd)
        except OSError: pass
for path in [${JSON.stringify(dataDir)}, os.path.expanduser('~'), '/proc/1/cwd', '/proc/1/root', '/proc/1/fd']:
    try: look(path, repr(os.listdir(path)).encode())
    except OSError as error: print('no', error.strerror)
for fd in range(3, 1024):
    try: look('descriptor', os.pread(fd, 4096, 0))
    except OSError: pass
try: look('port', urllib.request.urlopen('http://127.0.0.1:${port}/', timeout=2).read())
except OSError as error: print('no', type(error).__name__)
print('looked', len(found), found)
open('report.txt', 'w').write(repr(found))
`

let arena: Arena
let targets: Targets
const secret = `${MARK}${randomBytes(12).toString('hex')}`

beforeAll(async () => {
  targets = await openTargets()
  for (const name of [targets.secretFile, targets.keyFile, join(targets.homeDir, '.profile')])
    writeFileSync(name, secret)
  targets.answer(secret)
  arena = await openArena(await buildPrograms(), {
    HOME: targets.homeDir,
    ORIEN_SOME_SECRET: secret,
    ORIEN_SANDBOX_MODE: 'resident',
  })
  writeFileSync(join(arena.node.dataDir, 'secret'), secret, { mode: 0o644 })
}, 120_000)
afterAll(async () => {
  await arena.close()
  await targets.close()
})

/** The node's own keys, as they lie on its disk. */
function keysOf(dataDir: string): string[] {
  return ['node.key', 'operator.key', 'api.token'].map((name) =>
    readFileSync(join(dataDir, name), 'utf8').trim(),
  )
}

it('no secret of the node surfaces in output, files, receipts, events or errors', async () => {
  const session = await arena.openSession()
  const seen: unknown[] = []
  const code = hunt(arena.node.dataDir, targets.port)
  for (let round = 0; round < 2; round += 1) {
    const result = await arena.python(session, code)
    expect(result).toMatchObject({ status: 'completed', exitCode: 0 })
    expect(result.stdout).toContain('looked 0 []')
    seen.push(result)
  }
  for (const name of ['report.txt', 'missing', '../secret', '/etc/shadow'])
    seen.push(
      await session.download(name).then(
        (bytes) => Buffer.from(bytes).toString(),
        (error: unknown) => JSON.stringify(error, Object.getOwnPropertyNames(error)),
      ),
    )
  seen.push(await arena.python(session, 'raise SystemExit(3)'), await session.files())
  seen.push(await session.run({ tool: 'none' }).catch((error: unknown) => String(error)))
  await session.end()
  seen.push(await session.settled())
  for await (const event of session.events({ after: 0 })) {
    seen.push(event)
    if (event.kind === 'event' && event.event.type === 'session.settled') break
  }
  const text = JSON.stringify(seen, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))
  expect(text).toContain('looked 0 []')
  for (const word of [MARK, arena.node.dataDir, ...keysOf(arena.node.dataDir)])
    expect(text).not.toContain(word)
}, 60_000)
