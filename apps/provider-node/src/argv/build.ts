import {
  type ArgumentValue,
  type ArgvPart,
  assertNever,
  type Issue,
  LIMITS,
  type ToolArguments,
  type ToolManifest,
  utf8,
} from '@orien/protocol'
import { templateNames, templatePieces } from './template.ts'

/** A command line without its first element, or why there is none. */
export type BuiltArgv = { ok: true; argv: readonly string[] } | { ok: false; issues: Issue[] }

/** Where a session's workspace lies inside the sandbox. */
const WORKSPACE_MOUNT = '/workspace'

type Element = { text: string; issue?: string }

/**
 * Makes a command line from checked arguments. Each value becomes one element or none: there is no shell, no splitting
 * and no place where a value could become an option, except behind a prefix or after `--` that the manifest wrote.
 */
export function buildArgv(tool: Pick<ToolManifest, 'arguments' | 'argv'>, args: ToolArguments): BuiltArgv {
  const argv: string[] = []
  const issues: Issue[] = []
  let optionsEnded = false
  for (const part of tool.argv) {
    for (const { text, issue } of elementsOf(part, tool, args, optionsEnded)) {
      const message = issue ?? tooLong(text)
      if (message) issues.push({ path: `args.${namesOf(part).join('+')}`, message })
      argv.push(text)
    }
    if (part.kind === 'literal' && part.value === '--') optionsEnded = true
  }
  return issues.length > 0 ? { ok: false, issues } : { ok: true, argv }
}

/** The arguments that a part of a command line is made of. */
export function namesOf(part: ArgvPart): string[] {
  if (part.kind === 'literal') return []
  return part.kind === 'template' ? templateNames(part.value) : [part.name]
}

function elementsOf(
  part: ArgvPart,
  tool: Pick<ToolManifest, 'arguments'>,
  args: ToolArguments,
  optionsEnded: boolean,
): Element[] {
  if (part.kind === 'literal') return [{ text: part.value }]
  if (part.kind === 'template') return templateElements(part, args)
  const value = givenValue(args, part.name)
  if (value === undefined) return []
  const texts = () => textsOf(value, holdsFiles(tool, part.name))
  switch (part.kind) {
    case 'flag':
      return value === true ? [{ text: part.value }] : []
    case 'option':
      return texts().map((text) => ({ text: `${part.prefix}${text}` }))
    case 'argument':
      return texts().flatMap((text) => [
        ...fixed(part.before),
        text.startsWith('-') && !optionsEnded ? { text, issue: 'must not start with a dash' } : { text },
      ])
    default:
      return assertNever(part)
  }
}

const fixed = (before: string | undefined): Element[] => (before === undefined ? [] : [{ text: before }])

/** One element, or none where a value is missing: half a template would say something else. */
function templateElements(part: Extract<ArgvPart, { kind: 'template' }>, args: ToolArguments): Element[] {
  if (namesOf(part).some((name) => givenValue(args, name) === undefined)) return []
  const text = templatePieces(part.value)
    .map((piece) => ('name' in piece ? String(givenValue(args, piece.name)) : piece.text))
    .join('')
  return [...fixed(part.before), { text }]
}

const givenValue = (args: ToolArguments, name: string): ArgumentValue | undefined =>
  Object.hasOwn(args, name) ? args[name] : undefined

/** Whether an argument names files: one, or a list of them. */
function holdsFiles(tool: Pick<ToolManifest, 'arguments'>, name: string): boolean {
  const spec = tool.arguments.properties[name]
  return spec?.type === 'file' || (spec?.type === 'array' && spec.items.type === 'file')
}

function textsOf(value: ArgumentValue, areFiles: boolean): string[] {
  const texts = typeof value === 'object' ? value.map(String) : [String(value)]
  return areFiles ? texts.map((name) => `${WORKSPACE_MOUNT}/${name}`) : texts
}

/** The protocol counts characters; the kernel counts bytes. */
function tooLong(text: string): string | undefined {
  return utf8(text).length > LIMITS.argumentBytes
    ? `must have at most ${LIMITS.argumentBytes} bytes in UTF-8`
    : undefined
}

/** The names of the workspace files that checked arguments name and the tool reads. */
export function fileArguments(tool: Pick<ToolManifest, 'arguments'>, args: ToolArguments): string[] {
  const names = Object.entries(tool.arguments.properties).flatMap(([name, spec]) => {
    const value = givenValue(args, name)
    if (value === undefined || !holdsFiles(tool, name)) return []
    if (spec.type === 'file' && spec.direction === 'output') return []
    return typeof value === 'object' ? value.map(String) : [String(value)]
  })
  return [...new Set(names)]
}
