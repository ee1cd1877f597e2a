import { z } from 'zod'
import { LIMITS } from './limits.ts'
import { TEXT_FORMATS } from './textFormats.ts'

const base = { description: z.string().max(500).optional() }
const values = <T extends z.ZodType>(value: T) => z.array(value).min(1).max(200)

const text = {
  minLength: z.int().min(0).optional(),
  maxLength: z.int().min(1).max(LIMITS.argumentsBytes).optional(),
  /** Allowed values; makes the argument an enumeration. */
  enum: values(z.string().min(1)).optional(),
  /** A shape that the text must have, one of {@link TEXT_FORMATS}. */
  format: z.enum(TEXT_FORMATS).optional(),
}
const integer = { minimum: z.int().optional(), maximum: z.int().optional() }
const number = { minimum: z.number().optional(), maximum: z.number().optional() }

const extension = z.string().regex(/^\.[a-z0-9]{1,16}$/, 'must be an extension like .png, in lower case')
const file = {
  /** `input` (unless told): a file that is in the workspace. `output`: one that the tool writes there. */
  direction: z.enum(['input', 'output']).optional(),
  /** Endings that the name may have, case ignored: many programs choose what they do by them. */
  extensions: z.array(extension).min(1).max(50).optional(),
}

/** What an item of a list can be. */
export const itemSpec = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('string'), ...text }),
  z.strictObject({ type: z.literal('integer'), ...integer }),
  z.strictObject({ type: z.literal('number'), ...number }),
  z.strictObject({ type: z.literal('file'), extensions: file.extensions }),
])
/** See {@link itemSpec}. */
export type ItemSpec = z.output<typeof itemSpec>

/**
 * The types an argument of a tool can have. Each value becomes exactly one argv element or none; there is no type that
 * could become a second element or a shell word. A file's name cannot look like an option either; whether text or a
 * negative number may begin with a dash depends on where the manifest puts it (`--name=`, or after `--`), so the node
 * that holds the manifest decides.
 */
export const argumentSpec = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('string'), ...base, ...text, default: z.string().optional() }),
  z.strictObject({ type: z.literal('integer'), ...base, ...integer, default: z.int().optional() }),
  z.strictObject({ type: z.literal('number'), ...base, ...number, default: z.number().optional() }),
  z.strictObject({ type: z.literal('boolean'), ...base, default: z.boolean().optional() }),
  /** A workspace-relative name. */
  z.strictObject({ type: z.literal('file'), ...base, ...file, default: z.string().optional() }),
  z.strictObject({
    type: z.literal('array'),
    ...base,
    items: itemSpec,
    minItems: z.int().min(0).optional(),
    maxItems: z.int().min(1).max(1_000).default(100),
  }),
])
/** See {@link argumentSpec}. */
export type ArgumentSpec = z.output<typeof argumentSpec>
