import { loadRules, type RuleChange, type RuleLimits } from '@orien/provider-node'
import type { Handler } from '../../commands/bind.ts'
import { wrongUse } from '../../terminal/wrongUse.ts'
import { changeRules, whereInForce } from './rules.ts'

/** Options that set caps. */
export type LimitOptions = { maxRuns?: string; maxSessions?: string; maxSessionRuns?: string }
type Options = LimitOptions & { dataDir: string }
type Change = NonNullable<RuleChange['limits']>

const NAMES = {
  maxRuns: '--max-runs',
  maxSessions: '--max-sessions',
  maxSessionRuns: '--max-session-runs',
} as const

/** `orien provider limits`: shows the caps, or changes them while the node works. */
export const providerLimits: Handler<Options> = async ({ terminal }, options) => {
  const change = changeOf(options)
  const isChange = Object.keys(change).length > 0
  const decided = isChange ? await changeRules(options.dataDir, { limits: change }) : null
  const { limits } = decided?.rules ?? (await loadRules(options.dataDir))
  if (terminal.isJson) terminal.printJson(limits)
  else {
    for (const line of limitLines(limits)) terminal.print(line)
    if (decided) terminal.say(whereInForce(decided))
  }
  return 0
}

/** What the options say; `none` takes a cap away. */
export function changeOf(options: LimitOptions): Change {
  const change: Change = {}
  for (const name of Object.keys(NAMES) as (keyof typeof NAMES)[]) {
    const text = options[name]
    if (text !== undefined) change[name] = limitOf(NAMES[name], text)
  }
  return change
}

function limitOf(option: string, text: string): number | null {
  if (text === 'none') return null
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= 1_024) return value
  throw wrongUse(`${option} is a whole number from 1 to 1024, or none`)
}

function limitLines({ maxRuns, maxSessions, maxSessionRuns }: RuleLimits): string[] {
  return [
    `tools at once             ${maxRuns ?? 'as many as processors'}`,
    `sessions at once          ${maxSessions ?? 'no bound'}`,
    `tools of one at once      ${maxSessionRuns ?? 'no bound'}`,
  ]
}
