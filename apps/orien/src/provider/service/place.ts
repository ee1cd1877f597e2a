import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { OrienError } from '@orien/protocol'
import { NODE_FLAGS } from '../nodeFlags.ts'
import { LAUNCHD_LABEL, launchdPlist } from './launchdPlist.ts'
import { type ServiceTerms, systemdUnit } from './systemdUnit.ts'

/** What the service commands are given. */
export type ServiceOptions = { dataDir: string; user: string; unitDir?: string; print?: boolean }

/** A service manager, where its file of the node lies, and how it is told of it. */
export type Place = {
  manager: 'systemd' | 'launchd'
  path: string
  text: string
  terms: ServiceTerms
  /** Whether the manager itself runs here; a file can be written without it. */
  isRunning: boolean
  takeUp: readonly (readonly string[])[]
  letGo: readonly (readonly string[])[]
}

const UNIT = 'orien-provider.service'
const PROGRAM = fileURLToPath(new URL('../../../bin/orien.mjs', import.meta.url))

/**
 * The service of a node on this machine.
 *
 * @throws OrienError `unsupported_operation` where there is neither systemd nor launchd
 */
export function placeOf(options: ServiceOptions, platform: NodeJS.Platform = process.platform): Place {
  const dataDir = resolve(options.dataDir)
  if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(options.user))
    throw new OrienError('validation_failed', '--user is not the name of a system user')
  const command = [process.execPath, ...NODE_FLAGS, PROGRAM, 'provider', 'start', '--data-dir', dataDir]
  const terms = { command, dataDir, user: options.user }
  if (platform === 'linux') {
    return {
      manager: 'systemd',
      path: join(options.unitDir ?? '/etc/systemd/system', UNIT),
      text: systemdUnit(terms),
      terms,
      isRunning: options.unitDir === undefined && existsSync('/run/systemd/system'),
      takeUp: [
        ['systemctl', 'daemon-reload'],
        ['systemctl', 'enable', UNIT],
        ['systemctl', 'restart', UNIT],
      ],
      letGo: [['systemctl', 'disable', '--now', UNIT]],
    }
  }
  if (platform !== 'darwin')
    throw new OrienError('unsupported_operation', 'services are made for systemd and launchd alone')
  const path = join(options.unitDir ?? '/Library/LaunchDaemons', `${LAUNCHD_LABEL}.plist`)
  return {
    manager: 'launchd',
    path,
    text: launchdPlist(terms),
    terms,
    isRunning: options.unitDir === undefined,
    takeUp: [['launchctl', 'bootstrap', 'system', path]],
    letGo: [['launchctl', 'bootout', `system/${LAUNCHD_LABEL}`]],
  }
}
