import { execFileSync } from 'node:child_process'

const INSTALL_TIMEOUT_MS = 240_000

function isInstalled(program: string): boolean {
  try {
    execFileSync('/bin/sh', ['-c', 'PATH=/usr/bin:/bin command -v -- "$0"', program], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/**
 * Makes sure that a program of Debian is here, as root by installing it.
 *
 * @returns null, or why it is not here
 */
export function ensureSoftware(program: string, packages: readonly string[]): string | null {
  if (isInstalled(program)) return null
  if (process.getuid?.() !== 0 || !isInstalled('apt-get'))
    return `${program} is not installed, and only root can`
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive' }
  const options = { env, stdio: 'ignore', timeout: INSTALL_TIMEOUT_MS } as const
  const args = ['install', '-y', '--no-install-recommends', ...packages]
  try {
    execFileSync('apt-get', args, options)
  } catch {
    // A list of packages that is too old, or none yet.
    try {
      execFileSync('apt-get', ['update'], options)
      execFileSync('apt-get', args, options)
    } catch {
      return `${program} could not be installed`
    }
  }
  return isInstalled(program) ? null : `${program} was not in what was installed`
}
