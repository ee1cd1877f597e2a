import { lstatSync, readlinkSync, statSync } from 'node:fs'
import { type HostLayout, LAYOUT_NAMES, MASKED_NAMES } from './arguments.ts'

/** The users and groups that a tool finds. */
export const PASSWD =
  'orien:x:1000:1000::/workspace:/nonexistent\nnobody:x:65534:65534::/nonexistent:/nonexistent\n'
export const GROUP = 'orien:x:1000:\nnogroup:x:65534:\n'

const OTHERS_READ = 0o004

/** What only the host's root may read is closed to a tool in any case. */
const isReadable = (path: string): boolean =>
  ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & OTHERS_READ) !== 0

/** What a sandbox is laid out by on this machine. */
export function readLayout(): HostLayout {
  const links: Record<string, string> = {}
  const directories: string[] = []
  for (const name of LAYOUT_NAMES) {
    const entry = lstatSync(name, { throwIfNoEntry: false })
    if (entry?.isSymbolicLink()) links[name] = readlinkSync(name)
    else if (entry) directories.push(name)
  }
  return { links, directories, masked: MASKED_NAMES.filter(isReadable) }
}
