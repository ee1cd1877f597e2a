import type { Session } from '@orien/sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Arena, openArena } from './api.ts'
import { buildPrograms } from './programs.ts'

let arena: Arena
beforeAll(async () => {
  arena = await openArena(await buildPrograms(), { ORIEN_SANDBOX_MODE: 'resident' })
}, 120_000)
afterAll(() => arena.close())

const WORD = 'left-by-another'

/** Leaves its word wherever something can be left. */
const leave = `
import os, socket, sys
for directory in ('/tmp', '/dev/shm', '/workspace'):
    os.makedirs(directory + '/deep/er', exist_ok=True)
    for name in ('${WORD}', '.${WORD}', 'deep/er/${WORD}'):
        open(f'{directory}/{name}', 'w').write('${WORD}')
abstract = socket.socket(socket.AF_UNIX); abstract.bind('\\0${WORD}'); abstract.listen()
named = socket.socket(socket.AF_UNIX); named.bind('/tmp/${WORD}.socket'); named.listen()
port = socket.socket(); port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); port.bind(('127.0.0.1', 4321)); port.listen()
if os.fork() == 0:
    os.setsid()
    os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(3600)', '${WORD}'])
print('left', flush=True)
`
const look = (workspace: boolean) => `
import os, socket
found = []
for top in ['/tmp', '/dev/shm', '/run', '/var'] + (['/workspace'] if ${workspace ? 'True' : 'False'} else []):
    for root, dirs, files in os.walk(top):
        found += [os.path.join(root, name) for name in dirs + files if '${WORD}' in name]
for pid in filter(str.isdigit, os.listdir('/proc')):
    try:
        if '${WORD}' in open(f'/proc/{pid}/cmdline').read(): found.append('process ' + pid)
    except OSError: pass
def reach(family, address):
    try: socket.socket(family).connect(address); found.append(repr(address))
    except OSError: pass
reach(socket.AF_UNIX, '\\0${WORD}')
reach(socket.AF_UNIX, '/tmp/${WORD}.socket')
reach(socket.AF_INET, ('127.0.0.1', 4321))
found += [line for line in open('/proc/net/unix') if '${WORD}' in line]
found += [line for kind in ('shm', 'msg', 'sem') for line in open('/proc/sysvipc/' + kind).readlines()[1:]]
print('found', found)
`
const wait = `
import time
while not os.path.exists('/workspace/go'): time.sleep(0.01)
`

async function startAndHold(session: Session) {
  const run = await session.execute({ tool: 'python', args: { code: leave + wait } })
  for await (const piece of run.logs()) if (piece.text.includes('left')) break
  return run
}

describe('two sessions on one node', () => {
  it('see nothing of each other, while both run and afterwards', async () => {
    const [one, other] = await Promise.all([arena.openSession(), arena.openSession()])
    await arena.python(other, 'print(1)')
    const run = await startAndHold(one)
    const during = await arena.python(other, look(true))
    await one.upload('go', Buffer.from('1'))
    expect(await run.wait()).toMatchObject({ status: 'completed', exitCode: 0 })
    expect(during.stdout).toBe('found []\n')
    expect((await arena.python(other, look(true))).stdout).toBe('found []\n')
    expect(await other.files()).toEqual([])
    await expect(other.download(WORD)).rejects.toMatchObject({ code: 'not_found' })
  })

  it('see what they look for where it is their own: the look is not blind', async () => {
    const session = await arena.openSession()
    const { stdout } = await arena.python(
      session,
      leave.replace('if os.fork() == 0:', 'if False:') + look(true),
    )
    expect(stdout).toContain(`/tmp/${WORD}`)
    expect(stdout).toContain(`/dev/shm/deep/er/${WORD}`)
    expect(stdout).toContain('4321')
    expect(stdout).toContain(`\\x00${WORD}`)
  })
})

describe('two runs of one session', () => {
  it('share the workspace and nothing else', async () => {
    const session = await arena.openSession()
    for (let round = 0; round < 3; round += 1) {
      expect((await arena.python(session, leave)).stdout).toBe('left\n')
      expect((await arena.python(session, look(false))).stdout).toBe('found []\n')
    }
    expect((await session.files()).map(({ name }) => name)).toContain(WORD)
  })

  it('cannot starve each other or other sessions of what the kernel counts by user', async () => {
    const [greedy, modest] = await Promise.all([arena.openSession(), arena.openSession()])
    const take = `
import ctypes, fcntl, os, time
libc, held = ctypes.CDLL(None), []
while (fd := libc.inotify_init()) >= 0: held.append(fd)
for _ in range(200):
    ends = os.pipe(); held.append(ends)
    try: fcntl.fcntl(ends[0], 1031, 1 << 20)
    except OSError: break
print('left', len(held), flush=True)
while not os.path.exists('/workspace/go'): time.sleep(0.01)
`
    const run = await greedy.execute({ tool: 'python', args: { code: take } })
    for await (const piece of run.logs()) if (piece.text.includes('left')) break
    const need = `
import ctypes, fcntl, os
print(ctypes.CDLL(None).inotify_init() >= 0, fcntl.fcntl(os.pipe()[0], 1031, 1 << 20) == 1 << 20)
`
    const result = await arena.python(modest, need)
    await greedy.upload('go', Buffer.from('1'))
    await run.wait()
    expect(result.stdout).toBe('True True\n')
  })
})
