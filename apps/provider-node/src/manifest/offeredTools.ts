import { isDeepStrictEqual } from 'node:util'
import { NODE_LIMITS } from '../limits.ts'
import type { Tool, ToolSet } from './tools.ts'

/** What a new tools file did to the offer, by tool id. */
export type ToolChanges = { added: string[]; changed: string[]; removed: string[]; kept: string[] }

/** The tools of a node over the whole of its life: everybody holds the one map, and a new tools file changes what is in it. */
export type OfferedTools = {
  /** What sessions that are opened now are promised. */
  current: ToolSet
  /** Earlier tools by hash: work that was accepted under an older offer is run as it was promised. */
  retired: ReadonlyMap<string, Tool>
  /** What {@link replace} would change. */
  compare(next: ToolSet): ToolChanges
  /** Takes over a set that was loaded whole, in one step. */
  replace(next: ToolSet): void
}

const isSame = (a: Tool | undefined, b: Tool) => isDeepStrictEqual(a, b)

export function createOfferedTools(first: ToolSet): OfferedTools {
  const current = new Map(first)
  const retired = new Map<string, Tool>()
  const compare = (next: ToolSet): ToolChanges => {
    const ids = [...next.keys()]
    return {
      added: ids.filter((id) => !current.has(id)),
      changed: [...next].flatMap(([id, tool]) =>
        current.has(id) && !isSame(current.get(id), tool) ? [id] : [],
      ),
      removed: [...current.keys()].filter((id) => !next.has(id)),
      kept: [...next].flatMap(([id, tool]) => (isSame(current.get(id), tool) ? [id] : [])),
    }
  }
  const retire = (tool: Tool) => {
    retired.delete(tool.hash)
    const [oldest] = retired.keys()
    if (oldest !== undefined && retired.size >= NODE_LIMITS.retiredTools) retired.delete(oldest)
    retired.set(tool.hash, tool)
  }
  return {
    current,
    retired,
    compare,
    replace: (next) => {
      for (const tool of current.values()) if (next.get(tool.manifest.id)?.hash !== tool.hash) retire(tool)
      current.clear()
      for (const [id, tool] of next) current.set(id, tool)
      // What is offered again is what its new manifest says.
      for (const tool of next.values()) retired.delete(tool.hash)
    },
  }
}
