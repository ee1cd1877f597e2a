// @ts-check
/**
 * Makes sure that the programs which no package registry can give are on this machine.
 *
 *     node scripts/setUp.mjs            install what is missing, or say the one command that does
 *     node scripts/setUp.mjs --dry-run  print the plan as JSON and change nothing
 *
 * Plain JavaScript without dependencies: it runs on Node 20, before anything is installed.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * @typedef {{ platform: string, isRoot: boolean, searchPath: string }} Machine
 * @typedef {{ program: string, packageName: string, why: string }} Requirement
 * @typedef {{ kind: 'ready' }
 *   | { kind: 'install', packages: string[], because: string[] }
 *   | { kind: 'blocked', message: string }} Plan
 */

const INSTALL_TIMEOUT_MS = 180_000

/** @type {readonly Requirement[]} */
const REQUIREMENTS = [{ program: 'bwrap', packageName: 'bubblewrap', why: 'every tool runs inside it' }]

/** How each family of systems installs a package; the first manager found on the search path counts. */
const MANAGERS = [
  { program: 'apt-get', command: 'apt-get install -y --no-install-recommends' },
  { program: 'dnf', command: 'dnf install -y' },
  { program: 'pacman', command: 'pacman -S --noconfirm' },
  { program: 'zypper', command: 'zypper install -y' },
  { program: 'apk', command: 'apk add' },
]

/** @param {Machine} machine @param {string} program */
function has(machine, program) {
  return machine.searchPath.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return folder !== ''
    } catch {
      return false
    }
  })
}

/** @returns {Machine} */
export function thisMachine() {
  return {
    platform: process.platform,
    isRoot: process.getuid?.() === 0,
    searchPath: process.env.PATH ?? '',
  }
}

/**
 * Decides what is to be done, without doing it.
 *
 * @param {Machine} machine
 * @returns {Plan}
 */
export function planSetUp(machine) {
  // bubblewrap exists for Linux only; elsewhere the node's other drivers say what they lack.
  if (machine.platform !== 'linux') return { kind: 'ready' }
  const missing = REQUIREMENTS.filter((requirement) => !has(machine, requirement.program))
  if (missing.length === 0) return { kind: 'ready' }

  const packages = missing.map((requirement) => requirement.packageName)
  const because = missing.map((requirement) => `${requirement.packageName} (${requirement.why})`)
  const manager = MANAGERS.find((candidate) => has(machine, candidate.program))
  if (manager?.program === 'apt-get' && machine.isRoot) return { kind: 'install', packages, because }

  const command = manager
    ? `${machine.isRoot ? '' : 'sudo '}${manager.command} ${packages.join(' ')}`
    : undefined
  const advice = command
    ? `Run: ${command}`
    : `Install ${packages.join(', ')} with this system's package manager.`
  return { kind: 'blocked', message: `missing ${because.join(', ')}. ${advice}` }
}

/** @param {Machine} machine @param {string[]} args */
function aptGet(machine, args) {
  const options = ['-qq', '-o', 'DPkg::Lock::Timeout=60', '-o', 'Acquire::Retries=2']
  const child = spawnSync('apt-get', [...options, ...args], {
    env: { ...process.env, PATH: machine.searchPath, DEBIAN_FRONTEND: 'noninteractive' },
    encoding: 'utf8',
    timeout: INSTALL_TIMEOUT_MS,
  })
  return {
    ok: child.status === 0,
    output: `${child.stdout ?? ''}${child.stderr ?? ''}${child.error?.message ?? ''}`,
  }
}

/** @param {Machine} machine @param {string[]} packages */
function installWithApt(machine, packages) {
  const install = ['install', '-y', '--no-install-recommends', ...packages]
  if (aptGet(machine, install).ok) return ''
  // A fresh container image ships without package lists, so the first attempt cannot find anything there.
  const updated = aptGet(machine, ['update'])
  const second = aptGet(machine, install)
  return second.ok ? '' : `${updated.output}${second.output}`
}

/**
 * Carries the plan out. Progress and problems are single lines on `say`; a problem is never silent.
 *
 * @param {Machine} machine
 * @param {(line: string) => void} say
 * @returns {boolean} whether the machine is ready
 */
export function setUp(machine, say) {
  const plan = planSetUp(machine)
  if (plan.kind === 'ready') return true
  if (plan.kind === 'blocked') {
    say(plan.message)
    return false
  }
  say(`installing ${plan.because.join(', ')} ...`)
  const problem = installWithApt(machine, plan.packages)
  const after = planSetUp(machine)
  if (problem === '' && after.kind === 'ready') return true
  if (problem !== '') say(problem.trim())
  say(
    `could not install ${plan.packages.join(', ')}. Run: apt-get update && apt-get install -y ${plan.packages.join(' ')}`,
  )
  return false
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (process.argv.includes('--dry-run')) {
    console.log(JSON.stringify(planSetUp(thisMachine())))
  } else if (!setUp(thisMachine(), (line) => console.error(`orien: ${line}`))) {
    process.exitCode = 1
  }
}
