import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { OrienError } from '@orien/protocol'
import { lockHolder } from '../identity/lockDataDir.ts'
import { loadProvider, type Provider } from '../identity/providerFile.ts'
import { JOURNAL_PATH, readJournal } from '../journal/journal.ts'
import { loadTools } from '../manifest/loadTools.ts'
import { askNode } from '../node/access.ts'
import { readRules } from '../rules/ruleBook.ts'
import { type Finding, fault, ok, warning } from './finding.ts'

const SECRETS = ['node.key', 'operator.key', 'api.token']
const OTHERS = 0o077

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** Who the node is; null when nothing else can be asked of it. */
export async function checkProvider(
  dataDir: string,
): Promise<{ finding: Finding; provider: Provider | null }> {
  try {
    const provider = await loadProvider(dataDir)
    return { provider, finding: ok('node', `${provider.registration.providerId} in ${dataDir}`) }
  } catch (error) {
    const isThere = await lstat(join(dataDir, 'provider.json')).then(
      () => true,
      () => false,
    )
    const code = isThere ? 'provider_file_wrong' : 'node_missing'
    return { provider: null, finding: fault('node', code, messageOf(error)) }
  }
}

/** Keys that are where they should be, and closed to others. */
export async function checkKeys(dataDir: string): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const name of SECRETS) {
    const facts = await lstat(join(dataDir, name)).catch(() => null)
    if (!facts?.isFile()) findings.push(fault('keys', 'key_missing', `${name} is not there`))
    else if ((facts.mode & OTHERS) !== 0)
      findings.push(
        fault('keys', 'key_readable_by_others', `${name} has mode ${(facts.mode & 0o777).toString(8)}`),
      )
  }
  return findings.length > 0 ? findings : [ok('keys', `${SECRETS.length} files, closed to others`)]
}

export async function checkRulesFile(dataDir: string): Promise<Finding> {
  try {
    const { mode, blocked } = await readRules(dataDir)
    if (mode !== 'open') return warning('rules', 'paused', `the node is ${mode}`)
    return ok('rules', `open, ${blocked.length} wallets blocked`)
  } catch (error) {
    return fault('rules', 'rules_wrong', messageOf(error))
  }
}

/** What was signed and not yet taken. */
export async function checkJournal(dataDir: string): Promise<Finding> {
  try {
    const state = await readJournal(join(dataDir, JOURNAL_PATH))
    const pending = [...state.pendingReceipts.values()]
    const refused = pending.filter(({ refusal }) => refusal).length
    if (refused > 0) return warning('journal', 'receipts_refused', `${refused} receipts were refused`)
    if (pending.length > 0) return warning('journal', 'receipts_untold', `${pending.length} receipts wait`)
    return ok('journal', `${state.sessions.size} sessions, every receipt is acknowledged`)
  } catch (error) {
    return fault('journal', 'journal_damaged', messageOf(error))
  }
}

/** Whether a node runs here, and answers. @returns what it says about itself */
export async function checkProcess(
  dataDir: string,
): Promise<{ finding: Finding; status: Record<string, unknown> | null }> {
  const pid = await lockHolder(dataDir)
  if (pid === null) return { finding: warning('process', 'node_stopped', 'no node runs here'), status: null }
  try {
    const status = await askNode(dataDir, { method: 'GET', path: '/status' })
    return { finding: ok('process', `the node runs, process ${pid}`), status }
  } catch (error) {
    return {
      finding: fault('process', 'node_unresponsive', `process ${pid} holds the lock: ${messageOf(error)}`),
      status: null,
    }
  }
}

/** Every mistake of the tools file, and every program that it names and that is not here. */
export async function checkTools(manifestFile: string, searchPath: string): Promise<Finding[]> {
  try {
    const tools = await loadTools(manifestFile, { searchPath, known: { node: process.execPath } })
    return [ok('tools', `${tools.size}: ${[...tools.keys()].join(', ')}`)]
  } catch (error) {
    if (!(error instanceof OrienError)) throw error
    const issues = error.facts.issues ?? []
    if (issues.length === 0) return [fault('tools', 'tools_file_wrong', error.message)]
    const code = error.code === 'setup_failed' ? 'executable_missing' : 'tools_file_wrong'
    return issues.map(({ path, message }) => fault('tools', code, `${path} ${message}`))
  }
}
