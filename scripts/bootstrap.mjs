// @ts-check
/**
 * Runs a project command on a machine that may have nothing but Node 20 and npm.
 *
 *     node scripts/bootstrap.mjs [--packages-only] <command> [args...]
 *
 * Installs the packages when they are missing or the lockfile changed, installs missing system programs
 * (unless `--packages-only`), then runs the command with the project's own Node first on PATH. Everything it
 * has to say goes to stderr: stdout belongs to the command. Plain JavaScript without dependencies.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setUp, thisMachine } from './setUp.mjs'

const PNPM = 'pnpm@12.21.0'
const NODE_FOR_BOOTSTRAP = [20, 0]
/** The first release that runs TypeScript without a flag. */
const NODE_FOR_PROJECT = [22, 18]
const PARENT_CHECK_MS = 1_000

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const binFolder = join(root, 'node_modules', '.bin')
const stampFile = join(root, 'node_modules', '.orien-install')

/** @param {string} line */
const say = (line) => console.error(`orien: ${line}`)

/** @param {string} line @returns {never} */
function stop(line) {
  say(line)
  process.exit(1)
}

/** @param {number[]} minimum */
function nodeIsAtLeast(minimum) {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [wantedMajor = 0, wantedMinor = 0] = minimum
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}

function checkSystem() {
  if (process.platform === 'win32') stop('Windows is not supported; run this inside WSL 2.')
  if (!nodeIsAtLeast(NODE_FOR_BOOTSTRAP))
    stop(`needs Node ${NODE_FOR_BOOTSTRAP[0]} or newer, this is ${process.version}.`)
  const system = `${process.platform}-${process.arch}`
  if (system === 'linux-x64' || nodeIsAtLeast(NODE_FOR_PROJECT)) return
  stop(
    `on ${system} this project needs Node ${NODE_FOR_PROJECT.join('.')} or newer, this is ${process.version}.`,
  )
}

/** @param {string} folder */
function manifestsBelow(folder) {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder))
    .map((name) => join(folder, name, 'package.json'))
    .filter((file) => existsSync(join(root, file)))
    .sort()
}

/** One hash over everything that decides what `pnpm install` would do. */
function fingerprint() {
  const manifests = [
    'package.json',
    'tests/package.json',
    ...manifestsBelow('packages'),
    ...manifestsBelow('apps'),
  ]
  const hash = createHash('sha256').update(`${process.platform}-${process.arch} ${PNPM}\n`)
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', ...manifests]) {
    hash.update(`${file}\n`).update(readFileSync(join(root, file)))
  }
  return hash.digest('hex')
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @returns {() => void} ends it, so that a signal then ends this process as usual
 */
function passSignalsOn(child) {
  let isTold = false
  /** @param {NodeJS.Signals} signal */
  const tell = (signal) => {
    isTold = true
    child.kill(signal)
  }
  // A terminal sends Ctrl-C to the whole foreground group itself: forwarding it would deliver it twice, and
  // a second one commonly means "stop without cleaning up".
  const onInterrupt = () => process.stdin.isTTY || tell('SIGINT')
  // An npm that is killed outright tells nobody, and what it started would keep its ports for ever.
  const parent = process.ppid
  const isUnderNpm = process.env.npm_lifecycle_event !== undefined
  const watch = setInterval(() => {
    if (isUnderNpm && !isTold && process.ppid !== parent) tell('SIGTERM')
  }, PARENT_CHECK_MS)
  process.on('SIGINT', onInterrupt).on('SIGTERM', tell).on('SIGHUP', tell)
  return () => {
    clearInterval(watch)
    process.off('SIGINT', onInterrupt).off('SIGTERM', tell).off('SIGHUP', tell)
  }
}

/**
 * Runs a program to its end, passing signals on.
 *
 * @param {string} program @param {string[]} args @param {import('node:child_process').SpawnOptions} options
 * @returns {Promise<number>} its exit code, or 128 + the signal that ended it, as a shell has it
 */
function runToEnd(program, args, options) {
  const child = spawn(program, args, options)
  const stopPassing = passSignalsOn(child)
  return new Promise((resolve) => {
    child.on('error', (error) => stop(`could not start ${program}: ${error.message}`))
    child.on('exit', (code, signal) => {
      stopPassing()
      resolve(signal ? 128 + constants.signals[signal] : (code ?? 1))
    })
  })
}

async function installPackages() {
  const wanted = fingerprint()
  const isUpToDate = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === wanted
  if (isUpToDate) return
  say('installing packages ...')
  const args = ['--yes', PNPM, 'install', '--frozen-lockfile', '--config.confirmModulesPurge=false']
  const code = await runToEnd('npx', args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (code !== 0) stop(`installing packages failed; run by hand: npx ${args.join(' ')}`)
  mkdirSync(dirname(stampFile), { recursive: true })
  writeFileSync(stampFile, wanted)
}

function checkProjectNode() {
  if (existsSync(join(binFolder, 'node')) || nodeIsAtLeast(NODE_FOR_PROJECT)) return
  stop(
    `the bundled Node was not installed, and ${process.version} is older than ${NODE_FOR_PROJECT.join('.')}.`,
  )
}

const given = process.argv.slice(2)
const packagesOnly = given[0] === '--packages-only'
const [command, ...args] = packagesOnly ? given.slice(1) : given
if (command === undefined) stop('usage: node scripts/bootstrap.mjs [--packages-only] <command> [args...]')

checkSystem()
await installPackages()
checkProjectNode()
if (!packagesOnly && !setUp(thisMachine(), say)) process.exit(1)
const path = `${binFolder}${delimiter}${process.env.PATH ?? ''}`
process.exit(await runToEnd(command, args, { stdio: 'inherit', env: { ...process.env, PATH: path } }))
