/**
 * Runs the tests; the last line of the output is exactly `N passed, N failed`.
 *
 *     node scripts/test.ts [vitest arguments]
 *
 * A reporter could not promise the last line: vitest still writes after its reporters have finished.
 */
import { parseCLI, startVitest, type TestModule, type Vitest } from 'vitest/node'

/** `notRun`: what this machine cannot do, or a filter left out. */
type Tally = { passed: number; failed: number; notRun: number }

/** A file that does not load and a hook that throws have no failed test of their own: each counts as one. */
function tallyModule(module: TestModule): Tally {
  const tests = [...module.children.allTests()]
  const suites = [...module.children.allSuites()]
  const passed = tests.filter((test) => test.result().state === 'passed').length
  const unfinished = tests.filter((test) => ['failed', 'pending'].includes(test.result().state)).length
  const broken = [module, ...suites].filter((part) => part.errors().length > 0).length
  const notRun = tests.filter((test) => test.result().state === 'skipped').length
  return { passed, failed: unfinished + broken, notRun }
}

function tally(vitest: Vitest): Tally {
  const modules = vitest.state.getTestModules().map(tallyModule)
  const sum = (pick: (part: Tally) => number) => modules.reduce((total, part) => total + pick(part), 0)
  return {
    passed: sum((part) => part.passed),
    failed: sum((part) => part.failed) + vitest.state.getUnhandledErrors().length,
    notRun: sum((part) => part.notRun),
  }
}

async function runTests(args: string[]): Promise<Tally> {
  const { filter, options } = parseCLI(['vitest', 'run', ...args])
  const vitest = await startVitest(filter, { ...options, watch: false })
  const result = tally(vitest)
  await vitest.close()
  return result
}

async function runTestsSafely(args: string[]): Promise<Tally> {
  try {
    return await runTests(args)
  } catch (error) {
    console.error(error)
    return { passed: 0, failed: 1, notRun: 0 }
  }
}

const counted = await runTestsSafely(process.argv.slice(2))
// What fails outside every test (a set-up that throws, a filter that matches nothing) must show in the line too:
// whoever reads only the line must not read a success.
const failedOutside = counted.failed === 0 && (counted.passed === 0 || (process.exitCode ?? 0) !== 0)
const { passed, failed } = { ...counted, failed: failedOutside ? 1 : counted.failed }
if (counted.notRun > 0) console.log(`${counted.notRun} not run here`)
// On a pipe, stderr and stdout drain on their own: wait for both, so that this line is really the last one.
await new Promise<void>((resolve) => process.stderr.write('', () => resolve()))
process.stdout.write(`${passed} passed, ${failed} failed\n`, () => process.exit(failed === 0 ? 0 : 1))
