import { type ArgumentSpec, type ArgumentsSpec, checkArguments } from '@orien/protocol'
import { wrongUse } from '../terminal/wrongUse.ts'

/** Reads a file that the command line names with `@`. */
export type ReadText = (path: string) => string

/**
 * Builds a tool's arguments from the command line. Every value has the type that the tool's own schema gives it.
 *
 * @param pairs `k=v`; `k` alone is a boolean that is true; `k=@file` takes its text from a file, `k=@@…` begins with @
 * @param argsJson one JSON object, or `@file`
 * @throws OrienError `validation_failed` with every issue
 * @example
 * parseArguments({ properties: { width: { type: 'integer' } }, required: [] }, ['width=64']) // { width: 64 }
 */
export function parseArguments(
  spec: ArgumentsSpec,
  given: { pairs: readonly string[]; argsJson?: string | undefined },
  readText: ReadText,
): Record<string, unknown> {
  const args = given.argsJson === undefined ? {} : parseObject(given.argsJson, readText)
  for (const pair of given.pairs) {
    const [name, value] = parsePair(spec, pair, readText)
    if (Object.hasOwn(args, name)) throw wrongUse(`The argument ${name} is given twice`)
    args[name] = value
  }
  const checked = checkArguments(spec, args)
  if (checked.ok) return args
  throw wrongUse('These are not arguments of this tool', describeArguments(spec), checked.issues)
}

function parseObject(text: string, readText: ReadText): Record<string, unknown> {
  const json = parseJson('--args-json', text.startsWith('@') ? readText(text.slice(1)) : text)
  if (json !== null && typeof json === 'object' && !Array.isArray(json)) return { ...json }
  throw wrongUse('--args-json must be a JSON object')
}

function parseJson(what: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw wrongUse(`${what} is not JSON`)
  }
}

function parsePair(spec: ArgumentsSpec, pair: string, readText: ReadText): [string, unknown] {
  const equals = pair.indexOf('=')
  const name = equals === -1 ? pair : pair.slice(0, equals)
  const property = Object.hasOwn(spec.properties, name) ? spec.properties[name] : undefined
  if (!property) throw wrongUse(`This tool has no argument "${name}"`, describeArguments(spec))
  if (equals !== -1) return [name, parseValue(name, property, pair.slice(equals + 1), readText)]
  if (property.type === 'boolean') return [name, true]
  throw wrongUse(`The argument ${name} needs a value: ${name}=…`)
}

function parseValue(name: string, spec: ArgumentSpec, text: string, readText: ReadText): unknown {
  switch (spec.type) {
    case 'integer':
      if (/^-?\d+$/.test(text)) return Number(text)
      throw wrongUse(`${name} must be a whole number, not "${text}"`)
    case 'number':
      if (text.trim() !== '' && Number.isFinite(Number(text))) return Number(text)
      throw wrongUse(`${name} must be a number, not "${text}"`)
    case 'boolean':
      if (text === 'true' || text === 'false') return text === 'true'
      throw wrongUse(`${name} must be true or false, not "${text}"`)
    case 'array': {
      const list = parseJson(name, text)
      if (Array.isArray(list)) return list
      throw wrongUse(`${name} must be a JSON list, such as '["a","b"]'`)
    }
    case 'string':
    case 'file':
      if (!text.startsWith('@')) return text
      return text.startsWith('@@') ? text.slice(1) : readText(text.slice(1))
  }
}

/** The arguments of a tool in one line. */
export function describeArguments({ properties, required }: ArgumentsSpec): string {
  const known = Object.entries(properties).map(([name, spec]) => {
    const type = spec.type === 'string' && spec.enum ? spec.enum.join('|') : spec.type
    return required.includes(name) ? `${name}=${type}` : `[${name}=${type}]`
  })
  return known.length > 0 ? `Arguments: ${known.join(' ')}` : 'It takes no arguments.'
}
