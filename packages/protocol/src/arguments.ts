import { z } from 'zod'
import type { Issue } from './errors.ts'
import { LIMITS } from './limits.ts'

const base = { description: z.string().max(500).optional() }

/**
 * The types an argument of a tool can have. Each value becomes exactly one argv element or none; there is no type that
 * could become a second element or a shell word. A file's name cannot look like an option either; whether text or a
 * negative number may begin with a dash depends on where the manifest puts it (`--name=`, or after `--`), so the node
 * that holds the manifest decides.
 */
export const argumentSpec = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('string'),
    ...base,
    minLength: z.int().min(0).optional(),
    maxLength: z.int().min(1).max(LIMITS.argumentsBytes).optional(),
    /** Allowed values; makes the argument an enumeration. */
    enum: z.array(z.string().min(1)).min(1).max(200).optional(),
    default: z.string().optional(),
  }),
  z.strictObject({
    type: z.literal('integer'),
    ...base,
    minimum: z.int().optional(),
    maximum: z.int().optional(),
    default: z.int().optional(),
  }),
  z.strictObject({
    type: z.literal('number'),
    ...base,
    minimum: z.number().optional(),
    maximum: z.number().optional(),
    default: z.number().optional(),
  }),
  z.strictObject({ type: z.literal('boolean'), ...base, default: z.boolean().optional() }),
  /** A workspace-relative name of an existing file. */
  z.strictObject({ type: z.literal('file'), ...base, default: z.string().optional() }),
  z.strictObject({
    type: z.literal('array'),
    ...base,
    items: z.strictObject({ type: z.literal('string'), maxLength: z.int().min(1).optional() }),
    maxItems: z.int().min(1).max(1_000).default(100),
  }),
])
/** See {@link argumentSpec}. */
export type ArgumentSpec = z.output<typeof argumentSpec>

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
export type ArgumentValue = string | number | boolean | readonly string[]

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

function checkText(value: unknown, minLength: number, maxLength: number): string | null {
  if (typeof value !== 'string') return 'must be a string'
  if (!isWellFormed(value)) return 'must be valid Unicode without NUL'
  if (value.length < minLength) return `must have at least ${minLength} characters`
  return value.length > maxLength ? `must have at most ${maxLength} characters` : null
}

function checkNumber(
  value: unknown,
  spec: { minimum?: number | undefined; maximum?: number | undefined },
): string | null {
  if (typeof value !== 'number' || !Number.isFinite(value)) return 'must be a number'
  if (spec.minimum !== undefined && value < spec.minimum) return `must be at least ${spec.minimum}`
  return spec.maximum !== undefined && value > spec.maximum ? `must be at most ${spec.maximum}` : null
}

/** The complaint about one value, or null. */
function complaint(spec: ArgumentSpec, value: unknown): string | null {
  switch (spec.type) {
    case 'string': {
      if (spec.enum)
        return spec.enum.includes(value as string) ? null : `must be one of ${spec.enum.join(', ')}`
      return checkText(value, spec.minLength ?? 0, spec.maxLength ?? LIMITS.argumentBytes)
    }
    case 'integer':
      return Number.isSafeInteger(value) ? checkNumber(value, spec) : 'must be a whole number'
    case 'number':
      return checkNumber(value, spec)
    case 'boolean':
      return typeof value === 'boolean' ? null : 'must be true or false'
    case 'file':
      return typeof value === 'string' && isWorkspacePath(value)
        ? null
        : 'must be the name of a file in the workspace'
    case 'array': {
      if (!Array.isArray(value)) return 'must be a list'
      if (value.length > spec.maxItems) return `must have at most ${spec.maxItems} items`
      const longest = spec.items.maxLength ?? LIMITS.argumentBytes
      const wrong = value.findIndex((item) => checkText(item, 0, longest) !== null)
      return wrong === -1 ? null : `item ${wrong} ${checkText(value[wrong], 0, longest)}`
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
    Object.entries(spec.properties).map(([name, property]) => {
      if (property.type !== 'file') return [name, property]
      return [name, { ...property, type: 'string', format: 'workspace-file' }]
    }),
  )
  return { type: 'object', properties, required: spec.required, additionalProperties: false }
}
