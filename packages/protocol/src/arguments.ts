import { z } from 'zod'
import { type ArgumentSpec, argumentSpec, type ItemSpec } from './argumentSpec.ts'
import type { Issue } from './errors.ts'
import { LIMITS } from './limits.ts'
import { formatJsonSchema, hasFormat } from './textFormats.ts'

/** The arguments of a tool by name. */
export const argumentsSpec = z
  .strictObject({
    properties: z
      .record(z.string().regex(/^[a-z][a-zA-Z0-9_]{0,40}$/), argumentSpec)
      .refine((properties) => Object.keys(properties).length <= LIMITS.toolArguments, {
        error: `must be at most ${LIMITS.toolArguments} arguments`,
      }),
    required: z.array(z.string()).default([]),
  })
  .refine(({ properties, required }) => required.every((name) => Object.hasOwn(properties, name)), {
    path: ['required'],
    error: 'must be names of arguments',
  })
  .refine(({ properties }) => hasValidDefaults(properties), {
    path: ['properties'],
    error: 'must have defaults that they accept themselves',
  })
/** See {@link argumentsSpec}. */
export type ArgumentsSpec = z.output<typeof argumentsSpec>

/** A checked argument. */
export type ArgumentValue = string | number | boolean | readonly (string | number)[]

/** Checked arguments, defaults filled in. */
export type ToolArguments = Readonly<Record<string, ArgumentValue>>

/** The outcome of {@link checkArguments}. */
export type CheckedArguments = { ok: true; args: ToolArguments } | { ok: false; issues: Issue[] }

/** A lone surrogate would silently become U+FFFD on its way into argv. */
const isWellFormed = (text: string) => text.isWellFormed() && !text.includes('\0')

/**
 * Whether a name is a plain workspace-relative one: no absolute path, no `.` or `..` part, no empty part, no control
 * character, at most {@link LIMITS.fileNameBytes} bytes, and not starting with a dash.
 */
export function isWorkspacePath(name: string): boolean {
  if (name === '' || new TextEncoder().encode(name).length > LIMITS.fileNameBytes) return false
  if (!name.isWellFormed() || name.startsWith('-')) return false
  for (const char of name) {
    const code = char.codePointAt(0) ?? 0
    if (code < 0x20 || code === 0x7f || char === '\\') return false
  }
  return name.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && part.length <= 255)
}

type TextSpec = Extract<ItemSpec, { type: 'string' }>
type NumberSpec = Extract<ItemSpec, { type: 'number' }>

function textComplaint(spec: TextSpec, value: unknown): string | null {
  if (spec.enum) return spec.enum.includes(value as string) ? null : `must be one of ${spec.enum.join(', ')}`
  if (typeof value !== 'string') return 'must be a string'
  if (!isWellFormed(value)) return 'must be valid Unicode without NUL'
  const { minLength = 0, maxLength = LIMITS.argumentBytes, format } = spec
  if (value.length < minLength) return `must have at least ${minLength} characters`
  if (value.length > maxLength) return `must have at most ${maxLength} characters`
  return format && !hasFormat(format, value) ? `must be a ${format}` : null
}

function numberComplaint({ minimum, maximum }: NumberSpec, value: unknown): string | null {
  if (typeof value !== 'number' || !Number.isFinite(value)) return 'must be a number'
  if (minimum !== undefined && value < minimum) return `must be at least ${minimum}`
  return maximum !== undefined && value > maximum ? `must be at most ${maximum}` : null
}

function fileComplaint(extensions: readonly string[] | undefined, value: unknown): string | null {
  if (typeof value !== 'string' || !isWorkspacePath(value))
    return 'must be the name of a file in the workspace'
  const isAllowed = !extensions || extensions.some((extension) => value.toLowerCase().endsWith(extension))
  return isAllowed ? null : `must end in ${extensions.join(', ')}`
}

/** The complaint about one value, or null. */
function complaint(spec: ArgumentSpec | ItemSpec, value: unknown): string | null {
  switch (spec.type) {
    case 'string':
      return textComplaint(spec, value)
    case 'integer':
      if (!Number.isSafeInteger(value)) return 'must be a whole number'
      return numberComplaint({ ...spec, type: 'number' }, value)
    case 'number':
      return numberComplaint(spec, value)
    case 'boolean':
      return typeof value === 'boolean' ? null : 'must be true or false'
    case 'file':
      return fileComplaint(spec.extensions, value)
    case 'array': {
      if (!Array.isArray(value)) return 'must be a list'
      if (value.length < (spec.minItems ?? 0)) return `must have at least ${spec.minItems} items`
      if (value.length > spec.maxItems) return `must have at most ${spec.maxItems} items`
      const complaints = value.map((item) => complaint(spec.items, item))
      const wrong = complaints.findIndex((message) => message !== null)
      return wrong === -1 ? null : `item ${wrong} ${complaints[wrong]}`
    }
  }
}

/**
 * Checks arguments against a tool's specification and fills in the defaults. Coordinator and node both call it:
 * the node trusts nobody.
 *
 * @returns every issue found, not only the first
 * @example
 * checkArguments({ properties: { width: { type: 'integer', maximum: 1920 } }, required: ['width'] }, { width: 64 })
 */
export function checkArguments(spec: ArgumentsSpec, value: unknown): CheckedArguments {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    return { ok: false, issues: [{ path: 'args', message: 'must be an object' }] }
  }
  const given = value as Record<string, unknown>
  const issues: Issue[] = []
  const args: Record<string, ArgumentValue> = {}
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(spec.properties, name))
      issues.push({ path: `args.${name.slice(0, 60)}`, message: 'is not an argument of this tool' })
  }
  for (const [name, property] of Object.entries(spec.properties)) {
    const present = Object.hasOwn(given, name) && given[name] !== undefined
    const fallback = 'default' in property ? property.default : undefined
    if (!present) {
      if (fallback !== undefined) args[name] = fallback
      else if (spec.required.includes(name)) issues.push({ path: `args.${name}`, message: 'is required' })
      continue
    }
    const message = complaint(property, given[name])
    if (message) issues.push({ path: `args.${name}`, message })
    else args[name] = given[name] as ArgumentValue
  }
  return issues.length > 0 ? { ok: false, issues } : { ok: true, args }
}

/** A default never meets a caller's check, so it has to pass its own. */
function hasValidDefaults(properties: Readonly<Record<string, ArgumentSpec>>): boolean {
  return Object.values(properties).every(
    (property) =>
      !('default' in property) ||
      property.default === undefined ||
      complaint(property, property.default) === null,
  )
}

/** The JSON Schema (draft 2020-12) of a tool's arguments: what forms, MCP clients and model APIs read. */
export function argumentsJsonSchema(spec: ArgumentsSpec): Record<string, unknown> {
  const properties = Object.fromEntries(
    Object.entries(spec.properties).map(([name, property]) => [name, propertyJsonSchema(property)]),
  )
  return { type: 'object', properties, required: spec.required, additionalProperties: false }
}

function propertyJsonSchema(spec: ArgumentSpec | ItemSpec): Record<string, unknown> {
  switch (spec.type) {
    case 'string': {
      const { format, ...rest } = spec
      return format ? { ...rest, ...formatJsonSchema(format) } : rest
    }
    case 'file': {
      const { extensions, ...rest } = spec
      const isOutput = 'direction' in spec && spec.direction === 'output'
      if ('direction' in rest) delete rest.direction
      const format = isOutput ? 'workspace-output' : 'workspace-file'
      return {
        ...rest,
        type: 'string',
        format,
        ...(extensions ? { pattern: endingPattern(extensions) } : {}),
      }
    }
    case 'array':
      return { ...spec, items: propertyJsonSchema(spec.items) }
    default:
      return spec
  }
}

/** JSON Schema's patterns have no flags, so each letter stands in both cases. */
function endingPattern(extensions: readonly string[]): string {
  const endings = extensions.map((extension) =>
    extension.slice(1).replaceAll(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`),
  )
  return `\\.(?:${endings.join('|')})$`
}
