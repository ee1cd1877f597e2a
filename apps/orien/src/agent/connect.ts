import { Orien, type Policy } from '@orien/sdk'
import type { AgentOptions, Shell } from '../commands/bind.ts'
import type { Settings } from '../config.ts'
import { readUsdc } from './amount.ts'
import { coordinatorOf } from './coordinator.ts'
import { channelRecord, keptChannelsOf } from './keptChannels.ts'
import { openKeyFile } from './keyFile.ts'
import { fileSpendingRecord } from './spendingFile.ts'

/** The agent of this machine, with the wallet of its key file. */
export async function connectAgent(shell: Shell, options: AgentOptions) {
  const { generatePrivateKey, privateKeyToAccount } = await import('viem/accounts')
  const path = options.keyFile ?? shell.settings.keyFile
  const { privateKey, isNew } = await openKeyFile(path, generatePrivateKey)
  const account = privateKeyToAccount(privateKey)
  if (isNew) shell.terminal.say(`made a new wallet ${account.address}, its key is in ${path} (mode 0600)`)
  const { rpcUrl } = shell.settings
  const orien = new Orien({
    baseUrl: coordinatorOf(shell, options),
    account,
    channels: channelRecord(keptChannelsOf(path)),
    policy: policyOf(shell.settings),
    spendingRecord: fileSpendingRecord(`${path}.spending`),
    ...(rpcUrl === undefined ? {} : { rpcUrl }),
  })
  return { orien, account }
}

/** The wallet's owner sets caps in the environment, where neither a model nor a command line lifts them. */
function policyOf({ caps }: Settings): Policy {
  const perCall = readUsdc('ORIEN_MAX_PER_CALL', caps.perCall)
  const perSession = readUsdc('ORIEN_MAX_PER_SESSION', caps.perSession)
  const perDay = readUsdc('ORIEN_MAX_PER_DAY', caps.perDay)
  return {
    ...(perCall === undefined ? {} : { maxPerCallMicros: perCall }),
    ...(perSession === undefined ? {} : { maxPerSessionMicros: perSession }),
    ...(perDay === undefined ? {} : { maxPerDayMicros: perDay }),
  }
}
