import { type ArgumentSpec, type ArgvPart, checkArguments, type ToolManifest } from '@orien/protocol'

/** What a schema cannot say about one tool: the place inside the file, and what is wrong there. */
export type ManifestFault = { path: (string | number)[]; message: string }

/** Mistakes across fields: an argument that leads nowhere, a default that would be refused, a name given twice. */
export function manifestFaults(tools: readonly ToolManifest[]): ManifestFault[] {
  const faults: ManifestFault[] = []
  const seen = new Set<string>()
  tools.forEach((tool, index) => {
    const own = [...partFaults(tool), ...stdinFaults(tool), ...argumentFaults(tool), ...textFaults(tool)]
    if (seen.has(tool.id)) own.push({ path: ['id'], message: 'is the id of an earlier tool' })
    seen.add(tool.id)
    faults.push(...own.map(({ path, message }) => ({ path: ['tools', index, ...path], message })))
  })
  return faults
}

function partFault(part: ArgvPart, spec: ArgumentSpec | undefined): string | null {
  if (part.kind === 'literal') return null
  if (!spec) return `names no argument: ${part.name}`
  if (part.kind === 'flag' && spec.type !== 'boolean') return 'a flag needs a boolean argument'
  if (part.kind === 'option' && spec.type === 'boolean') return 'a boolean needs a flag'
  return null
}

function partFaults(tool: ToolManifest): ManifestFault[] {
  return tool.argv.flatMap((part, index) => {
    const message = part.kind === 'literal' ? null : partFault(part, property(tool, part.name))
    return message ? [{ path: ['argv', index, 'name'], message }] : []
  })
}

function stdinFaults(tool: ToolManifest): ManifestFault[] {
  if (tool.stdin === undefined) return []
  const spec = property(tool, tool.stdin)
  return spec?.type === 'string' ? [] : [{ path: ['stdin'], message: 'must name a string argument' }]
}

function argumentFaults(tool: ToolManifest): ManifestFault[] {
  const { properties, required } = tool.arguments
  const used = new Set(tool.argv.flatMap((part) => (part.kind === 'literal' ? [] : [part.name])))
  if (tool.stdin !== undefined) used.add(tool.stdin)
  const faults: ManifestFault[] = []
  for (const [name, spec] of Object.entries(properties)) {
    const path = ['arguments', 'properties', name]
    if (!used.has(name)) faults.push({ path, message: 'is used neither in argv nor as stdin' })
    if (!('default' in spec) || spec.default === undefined) continue
    // The default is filled in unchecked when a run starts, so it has to pass the check of a given value here.
    const checked = checkArguments({ properties: { [name]: spec }, required: [] }, { [name]: spec.default })
    if (!checked.ok)
      faults.push({ path: [...path, 'default'], message: checked.issues[0]?.message ?? 'is invalid' })
  }
  required.forEach((name, index) => {
    if (!property(tool, name))
      faults.push({ path: ['arguments', 'required', index], message: `names no argument: ${name}` })
  })
  return faults
}

/** The kernel ends a string at NUL; a manifest that holds one would run something else than it says. */
function textFaults(tool: ToolManifest): ManifestFault[] {
  const texts: [(string | number)[], string][] = [
    [['executable'], tool.executable],
    ...Object.entries(tool.env).map(([name, value]): [string[], string] => [['env', name], value]),
    ...tool.argv.flatMap((part, index): [(string | number)[], string][] =>
      part.kind === 'literal' || part.kind === 'flag' ? [[['argv', index, 'value'], part.value]] : [],
    ),
  ]
  return texts.flatMap(([path, text]) =>
    text.includes('\0') ? [{ path, message: 'must not hold NUL' }] : [],
  )
}

function property(tool: ToolManifest, name: string): ArgumentSpec | undefined {
  return Object.hasOwn(tool.arguments.properties, name) ? tool.arguments.properties[name] : undefined
}
