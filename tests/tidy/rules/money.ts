import ts from 'typescript'
import { isGenerated, isScript, type Rule } from '../rule.ts'
import { dottedName, findNodes } from '../syntax.ts'

/** `effectiveMicros`, `cpuMicros`, `startedAtMicros`: microseconds. Every other `…Micros` is micro-USDC. */
const MICROSECONDS =
  /(effective|cpu|wall|user|system|elapsed|duration|monotonic|started|ended|start|end|at|time|clock)Micros$/i
const MICRO_USDC = /(^m|M)icros(PerMinute)?$/
/** A money word that ends a name leaves its unit unsaid, and a number leaves its exactness unsaid. */
const BARE_MONEY = /(^|[a-z])(amount|price|cost|budget|fee|payout|balance|earnings)$/i

function isMoney(name: string): boolean {
  return (MICRO_USDC.test(name) && !MICROSECONDS.test(name)) || BARE_MONEY.test(name)
}

function mentionsNumber(type: ts.TypeNode): boolean {
  if (type.kind === ts.SyntaxKind.NumberKeyword) return true
  if (ts.isUnionTypeNode(type)) return type.types.some(mentionsNumber)
  return ts.isArrayTypeNode(type) && mentionsNumber(type.elementType)
}

/** `{ costMicros: z.number() }` declares a field as much as a type does. */
function isNumberSchema(node: ts.Expression): boolean {
  return /^z\.(coerce\.number|number|int|float\d*)\b/.test(node.getText())
}

function declaredNumber(node: ts.Node): string | undefined {
  const isTyped = ts.isPropertySignature(node) || ts.isParameter(node) || ts.isVariableDeclaration(node)
  if (isTyped || ts.isPropertyDeclaration(node)) {
    const name = node.name.getText()
    return node.type && isMoney(name) && mentionsNumber(node.type) ? name : undefined
  }
  if (!ts.isPropertyAssignment(node)) return undefined
  const name = node.name.getText()
  return isMoney(name) && isNumberSchema(node.initializer) ? name : undefined
}

function convertedToNumber(node: ts.Node): string | undefined {
  if (
    !ts.isCallExpression(node) ||
    !/^(Number|parseInt|parseFloat|Number\.parse\w+)$/.test(dottedName(node.expression))
  ) {
    return undefined
  }
  const last = node.arguments[0] ? dottedName(node.arguments[0]).split('.').at(-1) : undefined
  return last !== undefined && isMoney(last) ? last : undefined
}

export const moneyIsNoNumber: Rule = {
  name: 'money-is-no-number',
  why: 'money is a bigint inside and a decimal string outside; a number rounds. Microseconds say what time they are',
  appliesTo: (path) => isScript(path) && !isGenerated(path) && !path.startsWith('tests/tidy/'),
  check: (file) =>
    findNodes(file, (node) => {
      const declared = declaredNumber(node)
      if (declared !== undefined) return `${declared} is declared as a number`
      const converted = convertedToNumber(node)
      return converted === undefined ? undefined : `${converted} is made a number`
    }),
}
