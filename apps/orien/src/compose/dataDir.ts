import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

/** Where a stack keeps what it keeps. */
export type DataDir = ReturnType<typeof pathsIn>

export function pathsIn(dataDir: string) {
  const root = resolve(dataDir)
  return {
    root,
    postgres: join(root, 'postgres'),
    chainState: join(root, 'chain.json'),
    coordinator: join(root, 'coordinator'),
    provider: join(root, 'provider'),
    developmentOwnerKey: join(root, 'development-owner.key'),
    relayerKey: join(root, 'relayer.key'),
    /** The escrow that was deployed from here, on a chain that is not local. */
    deployment: join(root, 'deployment.json'),
    logs: join(root, 'logs'),
    /** What missions bring home: stays when the rest begins anew. */
    missions: join(root, 'missions'),
    /** Of a stack that runs: how other commands on this machine find it. */
    running: join(root, 'running.json'),
    aside: join(root, 'aside'),
  }
}

/** Whether a node was made here. */
export function hasProvider(dir: DataDir): boolean {
  return existsSync(join(dir.provider, 'provider.json'))
}

/** What belongs to one chain and one database, and is worth nothing without them. */
const MOVABLE = ['postgres', 'chainState', 'coordinator', 'provider', 'developmentOwnerKey'] as const

/**
 * Puts the state of a stack aside, so that the next start begins anew. Nothing is deleted.
 *
 * @returns where it is now, or null when there was none
 */
export async function moveAside(dir: DataDir, at: Date): Promise<string | null> {
  const present = MOVABLE.filter((name) => existsSync(dir[name]))
  if (present.length === 0) return null
  const target = join(dir.aside, at.toISOString().replaceAll(/[:.]/g, '-'))
  await mkdir(target, { recursive: true, mode: 0o700 })
  for (const name of present) {
    await rename(dir[name], join(target, dir[name].slice(dir.root.length + 1)))
  }
  return target
}

/** What a running stack says of itself to other commands of the same person. The URL of the database holds a password. */
export type Running = { pid: number; url: string; databaseUrl: string; rpcUrl: string; escrow: string }

export async function writeRunning(dir: DataDir, running: Running): Promise<void> {
  await rm(dir.running, { force: true })
  await writeFile(dir.running, `${JSON.stringify(running)}\n`, { mode: 0o600, flag: 'wx' })
}

/** @returns null when no stack runs on this directory, as far as it says */
export async function readRunning(dir: DataDir): Promise<Running | null> {
  try {
    const running = JSON.parse(await readFile(dir.running, 'utf8')) as Running
    process.kill(running.pid, 0)
    return running
  } catch {
    return null
  }
}
