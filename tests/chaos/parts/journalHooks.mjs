/**
 * Loaded before the node (`--import journalHooks.mjs?url=…`): each write of its journal asks the harness first and tells
 * it afterwards. The node's own code is untouched.
 */
import { open } from 'node:fs/promises'

const url = new URL(import.meta.url).searchParams.get('url')
const handle = await open('/dev/null')
const prototype = Object.getPrototypeOf(handle)
await handle.close()

for (const [method, name] of [
  ['appendFile', 'write'],
  ['datasync', 'sync'],
]) {
  const original = prototype[method]
  prototype[method] = async function (...given) {
    await fetch(`${url}/${encodeURIComponent(`journal ${name} >`)}`, { method: 'POST' })
    const result = await original.apply(this, given)
    await fetch(`${url}/${encodeURIComponent(`journal ${name} <`)}`, { method: 'POST' })
    return result
  }
}
