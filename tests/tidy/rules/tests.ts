import ts from 'typescript'
import type { Rule } from '../rule.ts'
import { dottedName, findNodes } from '../syntax.ts'

const TEST_CALL = /^(test|it|describe|suite)\./
const TURNED_OFF = /\.(skip|only|todo|fails|skipIf|runIf)$/
/** What a machine cannot do (mount without root) it cannot test; the run says how many tests that were. */
const CAPABILITY = /^(can[A-Z]\w*|is[A-Z]\w*|process\.platform === '\w+')$/
const SLEEP = /^(sleep|delay|wait|pause)(Ms|For)?$/

function turnedOff(node: ts.Node): string | undefined {
  if (!ts.isPropertyAccessExpression(node)) return undefined
  const name = dottedName(node)
  const call = node.parent
  const argument = ts.isCallExpression(call) && call.expression === node ? call.arguments[0] : undefined
  if (name.endsWith('.runIf') && CAPABILITY.test(argument?.getText() ?? '')) return undefined
  return TEST_CALL.test(name) && TURNED_OFF.test(name) ? `uses ${name}` : undefined
}

function retried(node: ts.Node): string | undefined {
  if (!ts.isPropertyAssignment(node) || node.name.getText() !== 'retry') return undefined
  const call = node.parent.parent
  const isOfTest =
    ts.isCallExpression(call) && /^(test|it|describe|suite|vi)\b/.test(dottedName(call.expression))
  return isOfTest ? 'retries a test' : undefined
}

/** `new Promise(resolve => setTimeout(resolve, 100))`, in all its spellings. */
function sleeps(node: ts.Node): string | undefined {
  if (ts.isImportDeclaration(node) && /timers\/promises/.test(node.moduleSpecifier.getText()))
    return 'imports a sleep'
  if (!ts.isCallExpression(node)) return undefined
  if (SLEEP.test(dottedName(node.expression))) return `calls ${dottedName(node.expression)}()`
  if (dottedName(node.expression) !== 'setTimeout') return undefined
  const isInPromise = ts.findAncestor(
    node,
    (above) => ts.isNewExpression(above) && dottedName(above.expression) === 'Promise',
  )
  return isInPromise && node.arguments[0] && ts.isIdentifier(node.arguments[0]) ? 'sleeps' : undefined
}

export const honestTests: Rule = {
  name: 'honest-tests',
  why: 'a test waits for what it tests, runs always and passes the first time, or it guarantees nothing',
  appliesTo: (path) => /\.(test|contract)\.tsx?$/.test(path),
  check: (file) => findNodes(file, (node) => turnedOff(node) ?? retried(node) ?? sleeps(node)),
}
