import { dirname } from 'node:path'
import type { Driver, Isolation, RunSpec } from './driver.ts'
import { createBareDriver, startProcess } from './unsandboxed.ts'

const SANDBOX_EXEC = '/usr/bin/sandbox-exec'

/** What programs of macOS load before their first instruction. */
const SYSTEM_PATHS = [
  ...['/usr/lib', '/System/Library', '/Library/Apple/System', '/private/var/db/dyld', '/usr/share/zoneinfo'],
  ...['/dev/null', '/dev/zero', '/dev/random', '/dev/urandom'],
]

/** A string of the profile language, which is Scheme's: only these two characters end or escape it. */
const quote = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`

const rule = (action: string, filter: string, paths: readonly string[]): string =>
  `(allow ${action} ${paths.map((path) => `(${filter} ${quote(path)})`).join(' ')})`

/** The profile of one run: everything is refused but its own runtime, its workspace and its own processes. */
export function seatbeltProfile({ argv, readOnlyPaths, workspaceDir }: RunSpec): string {
  const [command = ''] = argv
  const readable = [...SYSTEM_PATHS, ...readOnlyPaths, command, workspaceDir]
  return [
    '(version 1)',
    '(deny default)',
    rule('file-read*', 'subpath', readable),
    // Programs look their own path up from the root.
    rule('file-read-metadata', 'literal', ['/', dirname(workspaceDir), dirname(command)]),
    rule('file-write*', 'subpath', [workspaceDir]),
    rule('file-write-data', 'literal', ['/dev/null', '/dev/zero']),
    rule('process-exec', 'subpath', [command, ...readOnlyPaths]),
    '(allow process-fork)',
    '(allow signal (target same-sandbox))',
    '(allow sysctl-read)',
    '(deny network*)',
  ].join('\n')
}

/** The same run inside `sandbox-exec`. */
export const inSeatbelt = (spec: RunSpec): RunSpec => ({
  ...spec,
  argv: [SANDBOX_EXEC, '-p', seatbeltProfile(spec), ...spec.argv],
})

const isolationOf = (platform: NodeJS.Platform): Isolation => ({
  driver: 'seatbelt',
  isolationClass: 'none',
  servesStrangers: false,
  refusal:
    platform === 'darwin'
      ? { code: 'driver_unproven', detail: 'nobody has run the contract suite and the canaries on a Mac' }
      : { code: 'no_isolation', detail: 'seatbelt exists on macOS alone' },
  canaries: [],
})

/**
 * macOS's own sandbox around a plain process, for an owner's own work. It limits neither memory nor processes, and
 * nobody has attacked it: strangers are refused, whatever it looks like.
 */
export const createSeatbeltDriver = (platform: NodeJS.Platform = process.platform): Driver =>
  createBareDriver(isolationOf(platform), (spec, onOutput) => startProcess(inSeatbelt(spec), onOutput))
