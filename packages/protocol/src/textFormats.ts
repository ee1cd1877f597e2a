import type { Json } from './canonicalJson.ts'

/**
 * Shapes that a text argument may be held to. An owner picks one by name and cannot bring a pattern of its own: a
 * pattern is matched in the coordinator and in every client, where a slow one would be an attack. None of them lets a
 * value begin with a dash, hold a space or a quote, so a value may stand inside a larger word (`{size}` in a template).
 */
const PATTERNS = {
  /** A bare file or layer name: letters, digits, `._-`. */
  name: /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
  identifier: /^[A-Za-z_][A-Za-z0-9_]*$/,
  /** `#rrggbb` or `#rrggbbaa`. */
  color: /^#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{8})$/,
  /** `1920x1080`, pixels. */
  size: /^[1-9][0-9]{0,5}x[1-9][0-9]{0,5}$/,
  /** `16:9`. */
  ratio: /^[1-9][0-9]{0,4}:[1-9][0-9]{0,4}$/,
  /** `HH:MM:SS`, with up to three digits of a second. */
  timecode: /^[0-9]{2}:[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,3})?$/,
  date: /^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$/,
  uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
} as const satisfies Record<string, RegExp>

/** See {@link TEXT_FORMATS}. */
export type TextFormat = keyof typeof PATTERNS

/** The names of the formats: `name`, `identifier`, `color`, `size`, `ratio`, `timecode`, `date`, `uuid`. */
export const TEXT_FORMATS = Object.keys(PATTERNS) as [TextFormat, ...TextFormat[]]

/** Of these, JSON Schema knows the name by itself (draft 2020-12, section 7.3). */
const STANDARD: readonly TextFormat[] = ['date', 'uuid']

/**
 * Whether a text has a format.
 *
 * @example
 * hasFormat('size', '1920x1080') // true
 * hasFormat('size', '1920×1080') // false
 */
export const hasFormat = (format: TextFormat, text: string): boolean => PATTERNS[format].test(text)

/**
 * What JSON Schema says of a format: its own name where it has one, and always the pattern, which foreign clients
 * check as well.
 */
export function formatJsonSchema(format: TextFormat): Record<string, Json> {
  const pattern = PATTERNS[format].source
  return STANDARD.includes(format) ? { format, pattern } : { pattern }
}
