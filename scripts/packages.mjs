// @ts-check
/** Keeping node_modules in step with the lockfile. Plain JavaScript without dependencies: see bootstrap.mjs. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { runToEnd } from './runToEnd.mjs'

const PNPM = 'pnpm@12.21.0'
const LOCK_CHECK_MS = 100
const LOCK_WAIT_LIMIT_MS = 600_000

/** @typedef {{ root: string, say: (line: string) => void }} Project */

/** @param {Project} project */
const stampFile = ({ root }) => join(root, 'node_modules', '.orien-install')

/** @param {string} root @param {string} folder */
function manifestsBelow(root, folder) {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder))
    .map((name) => join(folder, name, 'package.json'))
    .filter((file) => existsSync(join(root, file)))
    .sort()
}

/**
 * One hash over everything that decides what an installation would do.
 *
 * @param {Project} project
 */
function fingerprint({ root }) {
  const workspaces = [...manifestsBelow(root, 'packages'), ...manifestsBelow(root, 'apps')]
  const files = ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json', 'tests/package.json', ...workspaces]
  const hash = createHash('sha256').update(`${process.platform}-${process.arch} ${PNPM}\n`)
  for (const file of files) hash.update(`${file}\n`).update(readFileSync(join(root, file)))
  return hash.digest('hex')
}

/** @param {Project} project @param {string} wanted */
function isInstalled(project, wanted) {
  return existsSync(stampFile(project)) && readFileSync(stampFile(project), 'utf8') === wanted
}

/** @param {string} lockFile @returns {boolean} whether this process holds the lock now */
function takeLock(lockFile) {
  try {
    writeFileSync(lockFile, String(process.pid), { flag: 'wx' })
    return true
  } catch {
    return false
  }
}

/** A holder that was killed left its lock: nobody else will take it away. @param {string} lockFile */
function dropLockOfTheDead(lockFile) {
  try {
    process.kill(Number(readFileSync(lockFile, 'utf8')), 0)
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    if (code === 'ESRCH') rmSync(lockFile, { force: true })
  }
}

/** @param {Project} project @param {string} lockFile */
async function waitForLock(project, lockFile) {
  const deadlineMs = performance.now() + LOCK_WAIT_LIMIT_MS
  for (let isSaid = false; !takeLock(lockFile); isSaid = true) {
    if (!isSaid) project.say('waiting for another command that installs packages ...')
    if (performance.now() > deadlineMs) throw new Error(`another command holds ${lockFile}`)
    dropLockOfTheDead(lockFile)
    await setTimeout(LOCK_CHECK_MS)
  }
}

/** @param {Project} project @param {string} wanted */
async function install(project, wanted) {
  project.say('installing packages ...')
  const args = ['--yes', PNPM, 'install', '--frozen-lockfile', '--config.confirmModulesPurge=false']
  // stdout belongs to the command that runs afterwards: what an installer prints goes to stderr.
  const code = await runToEnd('npx', args, { cwd: project.root, stdio: ['ignore', 2, 2] })
  if (code !== 0) throw new Error(`installing packages failed; run by hand: npx ${args.join(' ')}`)
  mkdirSync(dirname(stampFile(project)), { recursive: true })
  writeFileSync(stampFile(project), wanted)
}

/**
 * Installs the packages unless nothing changed since the last time. Two commands that are started at once on a
 * fresh clone take turns: they would fill the same folder.
 *
 * @param {Project} project
 */
export async function ensurePackages(project) {
  const wanted = fingerprint(project)
  if (isInstalled(project, wanted)) return
  const name = createHash('sha256').update(project.root).digest('hex').slice(0, 16)
  const lockFile = join(tmpdir(), `orien-install-${name}`)
  await waitForLock(project, lockFile)
  try {
    if (!isInstalled(project, wanted)) await install(project, wanted)
  } finally {
    rmSync(lockFile, { force: true })
  }
}
