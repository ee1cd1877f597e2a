import { toolsFileJsonSchema } from '@orien/protocol'
import type { Handler } from '../commands/bind.ts'

/** `orien provider tools schema`: for editors, and for programs that write manifests. */
export const printToolsSchema: Handler<object> = async ({ terminal }) => {
  terminal.print(JSON.stringify(toolsFileJsonSchema(), null, 2))
  return 0
}
