import { execFileSync, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'

const IPC_KINDS = { shm: ['-M', '64'], msg: ['-Q'], sem: ['-S', '1'] } as const
const IPC_REMOVALS = { shm: '-m', msg: '-q', sem: '-s' } as const

/** What the attacks aim at: outside the sandbox each of them is really there, and within reach of the attack's control. */
export type Targets = {
  /** Everything below it is the machine's own; a sandbox shows none of it. */
  dir: string
  /** A word that nothing else on this machine has in its name. */
  word: string
  secretFile: string
  keyFile: string
  homeDir: string
  otherWorkspaceFile: string
  socketPath: string
  /** A file that belongs to the tool, and that everybody may write. */
  runtimeFile: string
  hostName: string
  processId: number
  environmentName: string
  /** Of a server that answers with a secret. */
  port: number
  answer(text: string): void
  outerAddress: string
  udpPort: number
  abstractName: string
  ipcKeys: Record<keyof typeof IPC_KINDS, number>
  close(): Promise<void>
}

async function listen(server: Server, where: { port: number; host: string } | { path: string }) {
  server.listen(where)
  await once(server, 'listening')
  return server
}

/** System V objects have no path; the one of this word is told by the number that the kernel gave it. */
function makeIpc(kind: keyof typeof IPC_KINDS): { id: string; key: number } {
  const id =
    /(\d+)\s*$/.exec(execFileSync('ipcmk', [...IPC_KINDS[kind], '-p', '0666'], { encoding: 'utf8' }))?.[1] ??
    ''
  const rows = readFileSync(`/proc/sysvipc/${kind}`, 'utf8')
    .split('\n')
    .map((row) => row.trim().split(/\s+/))
  return { id, key: Number(rows.find(([, own]) => own === id)?.[0]) }
}

function makeFiles(dir: string) {
  const at = (name: string, mode: number) => {
    writeFileSync(join(dir, name), 'ORIEN')
    chmodSync(join(dir, name), mode)
    return join(dir, name)
  }
  chmodSync(dir, 0o755)
  for (const [name, mode] of [
    ['home', 0o700],
    ['other', 0o700],
    ['runtime', 0o755],
  ] as const)
    mkdirSync(join(dir, name), { mode })
  const files = {
    secretFile: at('secret', 0o644),
    keyFile: at('key', 0o600),
    runtimeFile: at('runtime/data', 0o666),
    otherWorkspaceFile: at('other/result', 0o600),
    homeDir: join(dir, 'home'),
  }
  at('home/.profile', 0o600)
  chownSync(join(dir, 'other'), 1_900_070_000, 1_900_070_000)
  return files
}

async function makeServers(socketPath: string, abstractName: string) {
  let text = 'ORIEN'
  const web = createHttpServer((_request, response) => void response.end(text))
  const echo = createSocket('udp4')
  echo.on('message', (message, from) => echo.send(message, from.port, from.address))
  echo.bind(0, '127.0.0.1')
  const [inner, outer, named, abstract] = await Promise.all([
    listen(web, { port: 0, host: '127.0.0.1' }),
    listen(
      createServer((peer) => peer.on('error', () => {}).resume()),
      { port: 0, host: '0.0.0.0' },
    ),
    listen(createServer(), { path: socketPath }),
    listen(createServer(), { path: `\0${abstractName}` }),
    once(echo, 'listening'),
  ])
  chmodSync(socketPath, 0o777)
  const portOf = (server: Server) => (server.address() as AddressInfo).port
  const address = Object.values(networkInterfaces())
    .flat()
    .find((one) => one?.family === 'IPv4' && !one.internal)?.address
  return {
    port: portOf(inner),
    outerAddress: `${address ?? '127.0.0.1'}:${portOf(outer)}`,
    udpPort: echo.address().port,
    answer: (changed: string) => {
      text = changed
    },
    close: () => {
      web.closeAllConnections()
      for (const server of [inner, outer, named, abstract, echo]) server.close()
    },
  }
}

/** Puts everything in place. What it makes on this machine is taken away by `close`. */
export async function openTargets(): Promise<Targets> {
  const dir = mkdtempSync('/var/tmp/orien-attack-')
  const word = dir.replaceAll(/\W/g, '')
  const files = makeFiles(dir)
  const mounted = join(dir, word)
  mkdirSync(mounted)
  execFileSync('mount', ['-t', 'tmpfs', 'none', mounted])
  const [environmentName, abstractName, socketPath] = [
    `ORIEN_${word.toUpperCase()}`,
    word,
    join(dir, 'socket'),
  ]
  process.env[environmentName] = 'ORIEN'
  const servers = await makeServers(socketPath, abstractName)
  // Ends with this process, whose end closes its input.
  const sleeper = spawn('/bin/sh', ['-c', 'read line', word], { stdio: ['pipe', 'ignore', 'ignore'] })
  await once(sleeper, 'spawn')
  const shared = [join('/tmp', word), join('/dev/shm', word)]
  for (const path of shared) writeFileSync(path, 'ORIEN')
  const ipc = { shm: makeIpc('shm'), msg: makeIpc('msg'), sem: makeIpc('sem') }
  return {
    dir,
    word,
    ...files,
    ...servers,
    socketPath,
    environmentName,
    abstractName,
    hostName: hostname(),
    processId: sleeper.pid ?? 0,
    ipcKeys: { shm: ipc.shm.key, msg: ipc.msg.key, sem: ipc.sem.key },
    close: async () => {
      servers.close()
      execFileSync('umount', [mounted])
      for (const kind of ['shm', 'msg', 'sem'] as const)
        execFileSync('ipcrm', [IPC_REMOVALS[kind], ipc[kind].id])
      for (const path of [...shared, dir]) rmSync(path, { recursive: true, force: true })
      delete process.env[environmentName]
      const ended = once(sleeper, 'exit')
      sleeper.stdin?.end()
      await ended
    },
  }
}
