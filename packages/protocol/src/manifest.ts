import { z } from 'zod'
import { argumentsSpec } from './arguments.ts'
import { sha256Hex } from './bytes.ts'
import { canonicalJson, type Json } from './canonicalJson.ts'
import { LIMITS } from './limits.ts'
import { MAX_DURATION_MS } from './time.ts'

/** A tool's name: what an agent writes. */
export const toolId = z.string().regex(/^[a-z][a-z0-9_]{0,63}$/, 'must be a tool name like render_scene')

/** Hard limits of a tool, enforced by the sandbox and echoed to the agent. */
export const toolLimits = z.strictObject({
  timeMs: z.int().min(LIMITS.minimumGrantMs).max(MAX_DURATION_MS),
  memoryBytes: z.int().min(8 * 1_048_576),
  processes: z.int().min(1).max(4_096),
  diskBytes: z.int().min(1_048_576),
  outputBytes: z
    .int()
    .min(1_024)
    .max(64 * 1_048_576),
})
/** See {@link toolLimits}. */
export type ToolLimits = z.output<typeof toolLimits>

/** What the world sees of a tool. Its hash goes into the offer and into every receipt. */
export const publishedTool = z.strictObject({
  id: toolId,
  description: z.string().min(1).max(1_000),
  arguments: argumentsSpec,
  limits: toolLimits,
  network: z.literal('none').default('none'),
  /** Names or patterns of what it writes to the workspace, for people. */
  outputs: z.array(z.string().max(200)).max(20).default([]),
})
/** See {@link publishedTool}. */
export type PublishedTool = z.output<typeof publishedTool>

/** A fixed element in front of a value, such as `-i`. It appears when the value does. */
const before = z
  .string()
  .regex(/^[-+]{1,2}[a-zA-Z][\w:-]*$/, 'must be an option such as -i')
  .optional()

/**
 * One part of a tool's command line. `literal` is fixed; `argument` is one element from one checked value
 * (a list: one element an item); `flag` appears when a boolean is true; `option` is `--name=value` in one element.
 * `template` is one element made of several values, `scale={width}:{height}`, and appears when all of them are given;
 * only numbers, enumerations and texts with a format may stand in it, so no value can bring a syntax of its own.
 */
export const argvPart = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('literal'), value: z.string().max(4_096) }),
  z.strictObject({ kind: z.literal('argument'), name: z.string(), before }),
  z.strictObject({ kind: z.literal('flag'), name: z.string(), value: z.string() }),
  z.strictObject({
    kind: z.literal('option'),
    name: z.string(),
    prefix: z
      .string()
      .regex(
        /^(?:(?:--?)?[a-zA-Z][\w.:-]*=|[+][a-zA-Z])$/,
        'must be a prefix such as --width=, Width= or +W',
      ),
  }),
  z.strictObject({ kind: z.literal('template'), value: z.string().min(1).max(4_096), before }),
])
/** See {@link argvPart}. */
export type ArgvPart = z.output<typeof argvPart>

/** A tool as its owner declares it: what is published, and how it is run on this machine. */
export const toolManifest = publishedTool.extend({
  /** Absolute path, or a name that the node resolves once at start (`node`, `python3`, `esbuild`). */
  executable: z.string().min(1),
  argv: z.array(argvPart).max(200),
  env: z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string()).default({}),
  /** The argument whose text becomes the tool's standard input. */
  stdin: z.string().optional(),
  /** Further host paths shown read-only to the tool. */
  readOnlyPaths: z.array(z.string()).default([]),
})
/** See {@link toolManifest}. */
export type ToolManifest = z.output<typeof toolManifest>

/** The published part of a manifest. */
export function publish(manifest: ToolManifest): PublishedTool {
  const { id, description, arguments: args, limits, network, outputs } = manifest
  return { id, description, arguments: args, limits, network, outputs }
}

/** The hash that names a published tool: SHA-256 of its canonical JSON, hex. */
export function manifestHash(tool: PublishedTool): string {
  return sha256Hex(canonicalJson(JSON.parse(JSON.stringify(tool)) as Json))
}

/** The file in which an owner declares tools, `orien.tools.yaml`. */
export const toolsFile = z
  .strictObject({
    /** Tools that come with the node and are offered as they are. */
    builtin: z.array(toolId).max(LIMITS.tools).default([]),
    tools: z.array(toolManifest).max(LIMITS.tools).default([]),
  })
  .refine(({ builtin, tools }) => builtin.length + tools.length > 0, {
    error: 'must offer at least one tool',
  })
  .refine(({ builtin, tools }) => builtin.length + tools.length <= LIMITS.tools, {
    error: `must offer at most ${LIMITS.tools} tools`,
  })
/** See {@link toolsFile}. */
export type ToolsFile = z.output<typeof toolsFile>

/** Where every coordinator serves {@link toolsFileJsonSchema}; the first line of a written `orien.tools.yaml` names it. */
export const TOOLS_SCHEMA_PATH = '/schemas/orien.tools.schema.json'

/** The JSON Schema (draft 2020-12) of `orien.tools.yaml`, for editors and for `orien provider tools schema`. */
export function toolsFileJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(toolsFile, { io: 'input' })
  return { ...schema, title: 'ORIEN tools', description: 'The tools that a provider node offers.' }
}
