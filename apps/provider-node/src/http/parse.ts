import { OrienError } from '@orien/protocol'
import type { z } from 'zod'

/** @throws OrienError `validation_failed` */
export function parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
  throw new OrienError('validation_failed', undefined, { issues })
}
