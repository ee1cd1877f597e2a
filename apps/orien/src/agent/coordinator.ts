import type { Shell } from '../commands/bind.ts'

/** The coordinator that a command means. */
export function coordinatorOf({ settings }: Shell, options: { coordinator?: string }): string {
  return options.coordinator ?? settings.coordinatorUrl
}
