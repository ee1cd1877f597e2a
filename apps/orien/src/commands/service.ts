import type { Command } from 'commander'
import { type Bind, withExample } from './bind.ts'

/** Commands that hand a node over to the machine's service manager. */
export function defineServiceCommands(
  provider: Command,
  bind: Bind,
  dataDir: readonly [string, string, string],
): void {
  const service = provider
    .command('service')
    .description('run the node as a service of this machine (systemd, launchd)')
    .addHelpText('after', '\nExample:\n  sudo orien provider service install --data-dir /var/lib/orien')
  const define = (name: string, description: string) =>
    service
      .command(name)
      .description(description)
      .option(...dataDir)
      .option('--user <name>', 'the system user that it runs as; made if there is none', 'orien')
      .option('--unit-dir <dir>', 'write the unit there, and start nothing')

  const install = define(
    'install',
    'write the unit, hand the data directory to its user, and start it',
  ).option('--print', 'only show the unit')
  bind(withExample(install, 'sudo orien provider service install --data-dir /var/lib/orien'), async () => {
    return (await import('../provider/service/service.ts')).installService
  })
  const uninstall = define('uninstall', 'stop the node and remove its unit; keys and journal stay')
  bind(withExample(uninstall, 'sudo orien provider service uninstall'), async () => {
    return (await import('../provider/service/service.ts')).uninstallService
  })
  const status = define('status', 'whether the unit is there, is the one that would be written, and runs')
  bind(withExample(status, 'orien provider service status'), async () => {
    return (await import('../provider/service/service.ts')).serviceStatus
  })
}
