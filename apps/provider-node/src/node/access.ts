import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isErrorCode, OrienError } from '@orien/protocol'
import { lockDataDir, lockHolder } from '../identity/lockDataDir.ts'
import { readSecretFile } from '../identity/secretFile.ts'
import { openRuleBook, type RuleChange, type Rules, readRules } from '../rules/ruleBook.ts'
import { clearFiles, workspacesDir } from '../stage.ts'
import { countRecords } from '../workspace/records.ts'
import { readAddress } from './address.ts'

/** How long a node may take to answer its owner. */
const ANSWER_MS = 5_000

type Request = { method: 'GET' | 'POST' | 'PATCH'; path: string; body?: object; signal?: AbortSignal }

/**
 * Asks the node that runs on a data directory, as its owner.
 *
 * @throws OrienError `provider_offline` when none runs, `node_unreachable` when it does not answer, or what it answered
 */
export async function askNode(dataDir: string, request: Request): Promise<Record<string, unknown>> {
  const url = await readAddress(dataDir)
  if (url === null || (await lockHolder(dataDir)) === null)
    throw new OrienError('provider_offline', 'no node runs on this data directory', {
      hint: 'Start it: orien provider start',
    })
  const token = await readSecretFile(join(dataDir, 'api.token'))
  const { method, path, body, signal } = request
  const timeout = AbortSignal.timeout(ANSWER_MS)
  const response = await fetch(new URL(path, url), {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body ? { 'content-type': 'application/json' } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
    redirect: 'error',
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  }).catch((cause: unknown) => {
    signal?.throwIfAborted()
    throw new OrienError(
      'node_unreachable',
      'the node does not answer on its loopback interface',
      {},
      { cause },
    )
  })
  const answer = (await response.json().catch(() => ({}))) as Record<string, unknown>
  if (response.ok) return answer
  const { code, detail, issues } = answer
  throw new OrienError(
    isErrorCode(code) ? code : 'internal_error',
    typeof detail === 'string' ? detail : `the node answered ${response.status}`,
    Array.isArray(issues) ? { issues } : {},
  )
}

/** The rules of a data directory, whether a node runs on it or not. */
export const loadRules = (dataDir: string): Promise<Rules> => readRules(dataDir)

/** Of how many sessions a node that does not run has kept the files. */
export const countKeptWorkspaces = (dataDir: string): Promise<number> => countRecords(workspacesDir(dataDir))

/**
 * Removes the files of all sessions from the data directory of a node that does not run.
 *
 * @throws OrienError `database_in_use` when a node has been started meanwhile
 */
export async function removeKeptWorkspaces(dataDir: string): Promise<void> {
  const release = await lockDataDir(dataDir)
  await clearFiles(dataDir).finally(release)
}

/**
 * Changes the rules of a node that does not run; it starts with them. After a kill no files of strangers stay.
 *
 * @throws OrienError `setup_failed`, `database_in_use` when a node has been started meanwhile
 */
export async function changeRulesAtRest(dataDir: string, change: RuleChange): Promise<Rules> {
  if (!existsSync(dataDir)) throw new OrienError('setup_failed', 'there is no such data directory')
  const release = await lockDataDir(dataDir)
  try {
    const rules = await (await openRuleBook(dataDir)).change(change)
    if (rules.mode === 'killed') await clearFiles(dataDir)
    return rules
  } finally {
    await release()
  }
}
