import { OrienError } from '@orien/protocol'
import type { RunSpec } from './driver.ts'
import { SANDBOX_LIMITS } from './limits.ts'

/** A command line that execve(2) takes as it is: the environment as `name=value`, and both together. */
type CommandLine = { environment: string[]; strings: string[] }

/**
 * Refuses what execve(2) would refuse or cut, before anything starts.
 *
 * @throws OrienError `validation_failed` for NUL, lone surrogates, over-long elements and too many of them
 */
export function checkCommandLine({ argv, env }: Pick<RunSpec, 'argv' | 'env'>): CommandLine {
  const environment = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  const strings = [...argv, ...environment]
  if (argv.length === 0 || strings.length > SANDBOX_LIMITS.arguments)
    throw new OrienError('validation_failed', 'the command line has no element or too many')
  let bytes = 0
  for (const text of strings) {
    if (text.includes('\0') || !text.isWellFormed())
      throw new OrienError('validation_failed', 'an argument holds NUL or a lone surrogate')
    const length = Buffer.byteLength(text)
    if (length > SANDBOX_LIMITS.argumentBytes)
      throw new OrienError('validation_failed', `an argument is over ${SANDBOX_LIMITS.argumentBytes} bytes`)
    bytes += length + 1
  }
  if (bytes > SANDBOX_LIMITS.commandLineBytes)
    throw new OrienError(
      'validation_failed',
      `the arguments are over ${SANDBOX_LIMITS.commandLineBytes} bytes`,
    )
  return { environment, strings }
}
