import { OrienError } from '@orien/protocol'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Reloaded } from '../node/offering.ts'
import { type RuleChange, type Rules, ruleChange } from '../rules/ruleBook.ts'
import { parse } from './parse.ts'

/** What only the owner of the machine may ask of a node that works for strangers. */
export type OwnerCalls = {
  status(): Record<string, unknown>
  rules(): Rules
  changeRules(change: RuleChange, endWhenDone?: boolean): Promise<Rules>
  reloadTools(): Promise<Reloaded>
}

const changeBody = ruleChange.extend({ endWhenDone: z.boolean().optional() })

/** Whatever keeps a node from starting is, of a running one, what its owner has just written: it goes on as it was. */
function refuseFile(error: unknown): never {
  if (!(error instanceof OrienError) || error.code !== 'setup_failed') throw error
  throw new OrienError('validation_failed', error.message, error.facts, { cause: error })
}

export function serveOwner(app: FastifyInstance, owner: OwnerCalls): void {
  app.get('/status', async () => owner.status())
  app.get('/rules', async () => owner.rules())
  app.patch('/rules', async (request) => {
    const { endWhenDone, ...change } = parse(changeBody, request.body)
    return owner.changeRules(change, endWhenDone)
  })
  app.post('/tools/reload', async () => owner.reloadTools().catch(refuseFile))
}
