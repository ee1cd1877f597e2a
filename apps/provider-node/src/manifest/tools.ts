import { manifestHash, type PublishedTool, publish, type ToolManifest } from '@orien/protocol'

/** A tool that this machine can run: its manifest, with the executable resolved once. */
export type Tool = {
  manifest: ToolManifest
  published: PublishedTool
  hash: string
  /** Absolute path, links followed. */
  executable: string
  readOnlyPaths: readonly string[]
}

/** Tools by id. */
export type ToolSet = ReadonlyMap<string, Tool>

/** @param resolved what the machine has for the manifest's names */
export function makeTool(manifest: ToolManifest, resolved: Pick<Tool, 'executable' | 'readOnlyPaths'>): Tool {
  const published = publish(manifest)
  return { manifest, published, hash: manifestHash(published), ...resolved }
}
