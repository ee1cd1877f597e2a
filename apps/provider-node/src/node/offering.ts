import type { Clock } from '../clock.ts'
import type { NodeKey } from '../identity/keys.ts'
import { offerTerms, type SignedOffer } from '../identity/offer.ts'
import type { Provider } from '../identity/providerFile.ts'
import type { Journal } from '../journal/journal.ts'
import type { Timing } from '../limits.ts'
import type { Log } from '../log.ts'
import type { ToolChanges } from '../manifest/offeredTools.ts'
import type { ToolSet } from '../manifest/tools.ts'
import type { ToolStage } from '../stage.ts'
import { currentOffer } from './currentOffer.ts'

/** What it takes to promise something. */
export type OfferingContext = {
  provider: Provider
  nodeKey: NodeKey
  journal: Journal
  stage: Pick<ToolStage, 'offered' | 'readTools' | 'isolation'>
  clock: Clock
  timing: Pick<Timing, 'offerValidityMs'>
  log: Log
}

/** What a reload did. */
export type Reloaded = ToolChanges & {
  offerHash: string
  /** Whether sessions that are opened from now on get another offer than before. */
  isNewOffer: boolean
}

/** The offer of a node over the whole of its life. */
export type Offering = {
  current(): SignedOffer
  /** Makes a new offer when the present one is past its half. @returns whether it did */
  renew(): Promise<boolean>
  /**
   * Reads the tools file again. Nothing changes unless all of it is good; what was accepted goes on as it was promised.
   *
   * @throws OrienError `setup_failed`, `validation_failed` with line numbers
   */
  reload(): Promise<Reloaded>
  /** Lets a reload that is under way come to its end. */
  settled(): Promise<void>
}

export async function openOffering(context: OfferingContext): Promise<Offering> {
  const { provider, nodeKey, journal, stage, clock, timing } = context
  const { offered } = stage
  const offerOf = (tools: ToolSet) =>
    currentOffer(
      journal,
      offerTerms({ provider, nodeKey: nodeKey.publicKey, tools, isolation: stage.isolation.isolationClass }),
      nodeKey,
      clock.nowMs(),
      timing.offerValidityMs,
    )
  let offer = await offerOf(offered.current)
  /** One at a time: two reloads that overlap would leave the offer of one beside the tools of the other. */
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(task: () => Promise<T>): Promise<T> => {
    const mine = turn.then(task)
    turn = mine.catch(() => {})
    return mine
  }
  async function take(tools: ToolSet): Promise<boolean> {
    const next = await offerOf(tools)
    const isNew = next.hash !== offer.hash
    // In one turn of the loop: nobody sees the new offer without its tools.
    offer = next
    if (tools !== offered.current) offered.replace(tools)
    return isNew
  }
  return {
    settled: async () => void (await turn),
    current: () => offer,
    renew: () => inTurn(() => take(offered.current)),
    reload: () =>
      inTurn(async () => {
        const next = await stage.readTools()
        const changes = offered.compare(next)
        const isNewOffer = await take(next)
        const { added, changed, removed } = changes
        context.log.info({ event: 'tools.reloaded', added, changed, removed, offerHash: offer.hash })
        return { ...changes, offerHash: offer.hash, isNewOffer }
      }),
  }
}
