import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Admission, address, type Hex, LIMITS, nodeMode, OrienError } from '@orien/protocol'
import { z } from 'zod'
import type { Slots } from '../run/scheduler.ts'

/** How much a node takes on at once; what is absent has no bound of the owner's own. */
const ruleLimits = z.strictObject({
  /** Tools that run at once. */
  maxRuns: z.int().min(1).max(1_024).optional(),
  /** Sessions under way at once. */
  maxSessions: z.int().min(1).max(10_000).optional(),
  /** Tools of one session that run at once. */
  maxSessionRuns: z.int().min(1).max(1_024).optional(),
})
/** See {@link ruleLimits}. */
export type RuleLimits = z.output<typeof ruleLimits>

const rulesFile = z.strictObject({
  v: z.literal(1),
  mode: nodeMode,
  blocked: z.array(address).max(LIMITS.blockedPayers),
  limits: ruleLimits,
})

/** What the owner has decided about work from others, until it is decided otherwise. */
export type Rules = Omit<z.output<typeof rulesFile>, 'v'>

/** One decision of the owner. What is left out stays; a limit of null is taken away. */
export const ruleChange = z.strictObject({
  mode: nodeMode.optional(),
  block: z.array(address).max(LIMITS.blockedPayers).optional(),
  unblock: z.array(address).max(LIMITS.blockedPayers).optional(),
  limits: z
    .strictObject({
      maxRuns: ruleLimits.shape.maxRuns.nullable(),
      maxSessions: ruleLimits.shape.maxSessions.nullable(),
      maxSessionRuns: ruleLimits.shape.maxSessionRuns.nullable(),
    })
    .optional(),
})
/** See {@link ruleChange}. */
export type RuleChange = z.output<typeof ruleChange>

/** The rules in force, kept in the data directory. */
export type RuleBook = {
  current(): Rules
  /** In force at once, then on the disk. @throws OrienError `setup_failed` when it could not be kept */
  change(change: RuleChange): Promise<Rules>
  /** Called at each change, in the turn in which it comes into force. */
  onChange(listener: (rules: Rules) => void): void
}

const NAME = 'rules.json'
const NO_RULES: Rules = { mode: 'open', blocked: [], limits: {} }

/** @throws OrienError `setup_failed` for a file that is not one: a rule that is not understood must not be ignored */
export async function readRules(dataDir: string): Promise<Rules> {
  const text = await readFile(join(dataDir, NAME), 'utf8').catch((cause: unknown) => {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null
    throw new OrienError('setup_failed', `${NAME} cannot be read`, {}, { cause })
  })
  if (text === null) return NO_RULES
  const parsed = rulesFile.safeParse(parseJson(text))
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
    throw new OrienError('setup_failed', `${NAME} is not valid`, { issues })
  }
  const { mode, blocked, limits } = parsed.data
  return { mode, blocked, limits }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new OrienError('setup_failed', `${NAME} is not JSON`, {}, { cause })
  }
}

/** The rules after a decision. @throws OrienError `validation_failed` when the list of wallets is full */
function decide(rules: Rules, change: RuleChange): Rules {
  const unblocked = new Set<Hex>(change.unblock)
  const blocked = [...new Set([...rules.blocked, ...(change.block ?? [])])].filter(
    (payer) => !unblocked.has(payer),
  )
  if (blocked.length > LIMITS.blockedPayers)
    throw new OrienError('validation_failed', `at most ${LIMITS.blockedPayers} wallets can be blocked`)
  const limits = { ...rules.limits, ...change.limits }
  return {
    mode: change.mode ?? rules.mode,
    blocked,
    limits: ruleLimits.parse(Object.fromEntries(Object.entries(limits).filter(([, value]) => value != null))),
  }
}

/** Replaced in one step, so that a crash leaves the old rules or the new ones. */
async function saveRules(dataDir: string, rules: Rules): Promise<void> {
  const path = join(dataDir, NAME)
  const next = `${path}.new`
  try {
    await writeFile(next, `${JSON.stringify({ v: 1, ...rules }, null, 2)}\n`, { mode: 0o600, flush: true })
    await rename(next, path)
  } catch (cause) {
    await rm(next, { force: true }).catch(() => {})
    const detail = `in force, but ${NAME} could not be written: a restart would forget it`
    throw new OrienError('setup_failed', detail, {}, { cause })
  }
}

/** @throws OrienError `setup_failed` */
export async function openRuleBook(dataDir: string): Promise<RuleBook> {
  let rules = await readRules(dataDir)
  let writing: Promise<unknown> = Promise.resolve()
  const listeners: ((rules: Rules) => void)[] = []
  return {
    current: () => rules,
    onChange: (listener) => void listeners.push(listener),
    change: async (change) => {
      const decided = decide(rules, change)
      rules = decided
      for (const listener of listeners) listener(decided)
      // One after the other, each the newest of its time: the last write is the last decision.
      const saved = writing.then(() => saveRules(dataDir, rules))
      writing = saved.catch(() => {})
      await saved
      return decided
    },
  }
}

/** The part of the rules that the coordinator refuses by, too. */
export function admissionOf({ mode, blocked, limits }: Rules): Admission {
  const { maxSessions } = limits
  return { mode, blocked, ...(maxSessions === undefined ? {} : { maxSessions }) }
}

/** @param usual slots of a node whose owner says nothing */
export function slotsOf({ limits }: Pick<Rules, 'limits'>, usual: number): Slots {
  const slots = limits.maxRuns ?? usual
  return { slots, sessionSlots: Math.min(slots, limits.maxSessionRuns ?? slots) }
}
