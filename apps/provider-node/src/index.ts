export type { ReadChannel } from './admission/channelWatch.ts'
export { loadClaims, type OpenClaim } from './claims/loadClaims.ts'
export { type ExamineOptions, examine } from './doctor/examine.ts'
export type { Finding } from './doctor/finding.ts'
export { type Earnings, type EarningsRow, loadEarnings } from './earnings/loadEarnings.ts'
export { type InitialisedNode, type InitOptions, initNode } from './identity/initNode.ts'
export { loadKeys, type NodeKeys } from './identity/keys.ts'
export { lockHolder } from './identity/lockDataDir.ts'
export { type Owner, walletOwner } from './identity/owner.ts'
export { loadProvider, type Provider } from './identity/providerFile.ts'
export type { Timing } from './limits.ts'
export type { LinkStatus } from './link/link.ts'
export type { Log } from './log.ts'
export { openLogFile } from './logFile.ts'
export { BUILTIN_MANIFEST, loadTools } from './manifest/loadTools.ts'
export { composeToolsFile, type Proposal, proposeTools } from './manifest/proposeTools.ts'
export type { Tool, ToolSet } from './manifest/tools.ts'
export { type ImportedTools, importMcpTools } from './mcp/importTools.ts'
export {
  askNode,
  changeRulesAtRest,
  countKeptWorkspaces,
  loadRules,
  removeKeptWorkspaces,
} from './node/access.ts'
export { type NodeOptions, type RunningNode, startNode } from './node/startNode.ts'
export { type StandaloneNode, startStandalone } from './node/startStandalone.ts'
export type { RuleChange, RuleLimits, Rules } from './rules/ruleBook.ts'
