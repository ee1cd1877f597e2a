import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { lchown, lstat, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { promisify } from 'node:util'
import { OrienError } from '@orien/protocol'
import type { Handler } from '../../commands/bind.ts'
import { type Place, placeOf, type ServiceOptions } from './place.ts'

const execute = promisify(execFile)

async function runAll(commands: Place['takeUp']): Promise<void> {
  for (const [program = '', ...args] of commands)
    await execute(program, args).catch((cause: unknown) => {
      throw new OrienError('setup_failed', `\`${program} ${args.join(' ')}\` failed`, {}, { cause })
    })
}

const readText = (path: string) => readFile(path, 'utf8').catch(() => null)

async function idOf(flag: '-u' | '-g', user: string): Promise<number | null> {
  const { stdout } = await execute('id', [flag, user]).catch(() => ({ stdout: '' }))
  return /^\d+\n$/.test(stdout) ? Number(stdout) : null
}

/** The user of the service: made if there is none, without a shell and without a password. */
async function ensureUser({ manager, terms }: Place): Promise<{ uid: number; gid: number }> {
  const { user, dataDir } = terms
  const find = async () => ({ uid: await idOf('-u', user), gid: await idOf('-g', user) })
  let { uid, gid } = await find()
  if (uid === null && manager === 'systemd') {
    const shell = ['--shell', '/usr/sbin/nologin', '--home-dir', dataDir, '--no-create-home']
    await runAll([['useradd', '--system', '--user-group', ...shell, user]])
    ;({ uid, gid } = await find())
  }
  if (uid === null || gid === null)
    throw new OrienError('setup_failed', `there is no user ${user}, and none could be made`)
  return { uid, gid }
}

/** Gives the node's files to the user of the service; links are given, never followed. */
async function handOver(path: string, owner: { uid: number; gid: number }): Promise<void> {
  const entry = await lstat(path)
  if (entry.isSymbolicLink()) return
  await lchown(path, owner.uid, owner.gid)
  if (!entry.isDirectory()) return
  for (const name of await readdir(path)) await handOver(join(path, name), owner)
}

/** A private directory above keeps the service's user out, whatever it owns below. */
async function requireReachable(path: string, uid: number): Promise<void> {
  for (let dir = dirname(path); dir !== dirname(dir); dir = dirname(dir)) {
    const entry = await stat(dir)
    if ((entry.mode & 0o001) !== 0 || entry.uid === uid || uid === 0) continue
    const detail = `the service's user cannot enter ${dir}: put node and program elsewhere, such as /var/lib and /opt`
    throw new OrienError('setup_failed', detail)
  }
}

const HIDDEN = 'the service has a /tmp of its own, and would not see the node or its program there'

/** PrivateTmp shows the service other directories at these names. */
const isHidden = ({ manager, terms }: Place): boolean =>
  manager === 'systemd' &&
  [terms.dataDir, ...terms.command.filter(isAbsolute)].some((path) => /^\/(var\/)?tmp\//.test(path))

/** What an installation would do beyond the text of the unit, and what keeps it from being done. */
async function stepsOf(place: Place): Promise<string[]> {
  const { path, text, isRunning, takeUp, terms } = place
  const { user, dataDir, command } = terms
  const written = await readText(path)
  const uid = await idOf('-u', user)
  const closed = await Promise.all(
    [dataDir, ...command.filter(isAbsolute)].map((each) =>
      requireReachable(each, uid ?? -1).then(
        () => [],
        (error: unknown) => [`in the way: ${error instanceof OrienError ? error.message : `no ${each}`}`],
      ),
    ),
  )
  return [
    'nothing was changed; to install would',
    ...(uid === null ? [`make the system user ${user}`] : []),
    `give ${dataDir} to ${user}`,
    written === text ? `find ${path} as it should be` : `write ${path}`,
    ...(written === text || !isRunning ? [] : takeUp.map((words) => words.join(' '))),
    ...(isHidden(place) ? [`in the way: ${HIDDEN}`] : []),
    ...(existsSync(join(dataDir, 'provider.json')) ? [] : ['in the way: there is no node in that directory']),
    ...new Set(closed.flat()),
  ]
}

/** `orien provider service install`: the same again changes nothing. */
export const installService: Handler<ServiceOptions> = async ({ terminal }, options) => {
  const place = placeOf(options)
  if (options.print) {
    const steps = await stepsOf(place)
    const { path, manager, text } = place
    if (terminal.isJson) terminal.printJson({ path, manager, text, steps })
    else terminal.print(text.trimEnd())
    for (const step of steps) terminal.say(step)
    return 0
  }
  if (!existsSync(join(place.terms.dataDir, 'provider.json')))
    throw new OrienError(
      'setup_failed',
      'there is no node in that directory: run `orien provider init` first',
    )
  if (place.isRunning && isHidden(place)) throw new OrienError('setup_failed', HIDDEN)
  const owner = await ensureUser(place)
  for (const path of [place.terms.dataDir, ...place.terms.command.filter(isAbsolute)])
    await requireReachable(path, owner.uid)
  await handOver(place.terms.dataDir, owner)
  const isChanged = (await readText(place.path)) !== place.text
  if (isChanged) {
    await mkdir(dirname(place.path), { recursive: true })
    await writeFile(`${place.path}.new`, place.text, { mode: 0o644 })
    await rename(`${place.path}.new`, place.path)
  }
  if (isChanged && place.isRunning) await runAll(place.takeUp)
  const { path, manager, isRunning } = place
  if (terminal.isJson) terminal.printJson({ path, manager, isChanged, isStarted: isRunning })
  else terminal.print(isChanged ? `wrote ${path}` : `${path} is as it should be`)
  if (!isRunning) terminal.say(`${manager} does not run here: the node was not started`)
  return 0
}

/** `orien provider service uninstall`: stops the node and removes its unit; keys, journal and user stay. */
export const uninstallService: Handler<ServiceOptions> = async ({ terminal }, options) => {
  const place = placeOf(options)
  const wasThere = existsSync(place.path)
  if (wasThere && place.isRunning) await runAll(place.letGo)
  await rm(place.path, { force: true })
  if (wasThere && place.isRunning && place.manager === 'systemd')
    await runAll([['systemctl', 'daemon-reload']])
  if (terminal.isJson) terminal.printJson({ path: place.path, wasInstalled: wasThere })
  else terminal.print(wasThere ? `removed ${place.path}` : 'there was no service')
  return 0
}

async function activityOf({ manager, isRunning }: Place): Promise<string> {
  if (manager !== 'systemd' || !isRunning) return 'unknown'
  // It answers by its exit code as well; the word is the answer.
  const word = await execute('systemctl', ['is-active', 'orien-provider.service']).then(
    ({ stdout }) => stdout,
    (failure: { stdout?: string }) => failure.stdout ?? '',
  )
  return word.trim() || 'unknown'
}

/** `orien provider service status`: exit code 1 unless it is installed as it would be written now. */
export const serviceStatus: Handler<ServiceOptions> = async ({ terminal }, options) => {
  const place = placeOf(options)
  const written = await readText(place.path)
  const unit = written === null ? 'absent' : written === place.text ? 'current' : 'different'
  const activity = await activityOf(place)
  if (terminal.isJson) terminal.printJson({ path: place.path, unit, activity })
  else terminal.print(`${place.path}: ${unit}, ${activity}`)
  return unit === 'current' ? 0 : 1
}
