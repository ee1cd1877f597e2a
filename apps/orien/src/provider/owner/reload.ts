import { askNode } from '@orien/provider-node'
import type { Handler } from '../../commands/bind.ts'

type Reloaded = { added: string[]; changed: string[]; removed: string[]; kept: string[]; isNewOffer: boolean }

/** `orien provider reload`: the running node reads its tools file again. */
export const reloadProvider: Handler<{ dataDir: string }> = async ({ terminal }, { dataDir }) => {
  const reloaded = await askNode(dataDir, { method: 'POST', path: '/tools/reload' })
  if (terminal.isJson) {
    terminal.printJson(reloaded)
    return 0
  }
  const { added, changed, removed, kept, isNewOffer } = reloaded as Reloaded
  const { green, yellow, red, dim } = terminal.out
  for (const id of added) terminal.print(`${green('added')}    ${id}`)
  for (const id of changed) terminal.print(`${yellow('changed')}  ${id}`)
  for (const id of removed) terminal.print(`${red('removed')}  ${id}`)
  for (const id of kept) terminal.print(`${dim('kept')}     ${id}`)
  terminal.say(
    isNewOffer
      ? 'New sessions get the new offer; those that are open keep theirs.'
      : 'The offer is the one that it was.',
  )
  return 0
}
