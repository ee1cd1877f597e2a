// @ts-check
/** Running a program in the place of this one. Plain JavaScript without dependencies: see bootstrap.mjs. */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'

const PARENT_CHECK_MS = 1_000

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
 * Runs a program to its end, passing signals on. Rejects when it cannot be started.
 *
 * @param {string} program @param {string[]} args @param {import('node:child_process').SpawnOptions} options
 * @returns {Promise<number>} its exit code, or 128 + the signal that ended it, as a shell has it
 */
export function runToEnd(program, args, options) {
  const child = spawn(program, args, options)
  const stopPassing = passSignalsOn(child)
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new Error(`could not start ${program}: ${error.message}`)))
    child.on('exit', (code, signal) => {
      stopPassing()
      resolve(signal ? 128 + constants.signals[signal] : (code ?? 1))
    })
  })
}
