import { Orien } from '@orien/sdk'
import type { AgentOptions, Shell } from '../commands/bind.ts'
import { coordinatorOf } from './coordinator.ts'
import { channelRecord, keptChannelsOf } from './keptChannels.ts'
import { openKeyFile } from './keyFile.ts'

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
    ...(rpcUrl === undefined ? {} : { rpcUrl }),
  })
  return { orien, account }
}
