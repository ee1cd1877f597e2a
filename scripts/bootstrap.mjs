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
import { existsSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensurePackages } from './packages.mjs'
import { runToEnd } from './runToEnd.mjs'
import { setUp, thisMachine } from './setUp.mjs'

const NODE_FOR_BOOTSTRAP = [20, 0]
/** The first release that runs TypeScript without a flag. */
const NODE_FOR_PROJECT = [22, 18]

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const binFolder = join(root, 'node_modules', '.bin')

/** @param {string} line */
const say = (line) => console.error(`orien: ${line}`)

/** @param {number[]} minimum */
function nodeIsAtLeast(minimum) {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [wantedMajor = 0, wantedMinor = 0] = minimum
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}

function checkSystem() {
  if (process.platform === 'win32') throw new Error('Windows is not supported; run this inside WSL 2.')
  if (!nodeIsAtLeast(NODE_FOR_BOOTSTRAP)) {
    throw new Error(`needs Node ${NODE_FOR_BOOTSTRAP[0]} or newer, this is ${process.versions.node}.`)
  }
  const system = `${process.platform}-${process.arch}`
  if (system === 'linux-x64' || nodeIsAtLeast(NODE_FOR_PROJECT)) return
  const wanted = NODE_FOR_PROJECT.join('.')
  throw new Error(
    `on ${system} this project needs Node ${wanted} or newer, this is ${process.versions.node}.`,
  )
}

function checkProjectNode() {
  if (existsSync(join(binFolder, 'node')) || nodeIsAtLeast(NODE_FOR_PROJECT)) return
  const wanted = NODE_FOR_PROJECT.join('.')
  throw new Error(`the bundled Node was not installed, and ${process.versions.node} is older than ${wanted}.`)
}

/** @param {string[]} given */
async function main(given) {
  const packagesOnly = given[0] === '--packages-only'
  const [command, ...args] = packagesOnly ? given.slice(1) : given
  if (command === undefined) {
    throw new Error('usage: node scripts/bootstrap.mjs [--packages-only] <command> [args...]')
  }
  checkSystem()
  await ensurePackages({ root, say })
  checkProjectNode()
  if (!packagesOnly && !setUp(thisMachine(), say)) return 1
  const path = `${binFolder}${delimiter}${process.env.PATH ?? ''}`
  return runToEnd(command, args, { stdio: 'inherit', env: { ...process.env, PATH: path } })
}

try {
  process.exit(await main(process.argv.slice(2)))
} catch (error) {
  say(error instanceof Error ? error.message : String(error))
  process.exit(1)
}
