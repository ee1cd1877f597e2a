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
      if (message && part.kind !== 'literal') issues.push({ path: `args.${part.name}`, message })
      argv.push(text)
    }
    if (part.kind === 'literal' && part.value === '--') optionsEnded = true
  }
  return issues.length > 0 ? { ok: false, issues } : { ok: true, argv }
}

function elementsOf(
  part: ArgvPart,
  tool: Pick<ToolManifest, 'arguments'>,
  args: ToolArguments,
  optionsEnded: boolean,
): Element[] {
  if (part.kind === 'literal') return [{ text: part.value }]
  const value = Object.hasOwn(args, part.name) ? args[part.name] : undefined
  if (value === undefined) return []
  const isFile = tool.arguments.properties[part.name]?.type === 'file'
  switch (part.kind) {
    case 'flag':
      return value === true ? [{ text: part.value }] : []
    case 'option':
      return textsOf(value, isFile).map((text) => ({ text: `${part.prefix}${text}` }))
    case 'argument':
      return textsOf(value, isFile).map((text) =>
        text.startsWith('-') && !optionsEnded ? { text, issue: 'must not start with a dash' } : { text },
      )
    default:
      return assertNever(part)
  }
}

function textsOf(value: ArgumentValue, isFile: boolean): string[] {
  if (typeof value === 'object') return [...value]
  return [isFile ? `${WORKSPACE_MOUNT}/${value}` : String(value)]
}

/** The protocol counts characters; the kernel counts bytes. */
function tooLong(text: string): string | undefined {
  return utf8(text).length > LIMITS.argumentBytes
    ? `must have at most ${LIMITS.argumentBytes} bytes in UTF-8`
    : undefined
}

/** The names of the workspace files that checked arguments name. */
export function fileArguments(tool: Pick<ToolManifest, 'arguments'>, args: ToolArguments): string[] {
  const names = Object.entries(tool.arguments.properties).flatMap(([name, spec]) => {
    const value = args[name]
    return spec.type === 'file' && typeof value === 'string' ? [value] : []
  })
  return [...new Set(names)]
}
