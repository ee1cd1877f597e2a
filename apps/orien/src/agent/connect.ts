import { Orien } from '@orien/sdk'
import type { AgentOptions, Shell } from '../commands/bind.ts'
import { openKeyFile } from './keyFile.ts'

/** The coordinator that a command means. */
export function coordinatorOf({ settings }: Shell, options: { coordinator?: string }): string {
  return options.coordinator ?? settings.coordinatorUrl
}

/** An agent without a wallet: public calls only. */
export function connectPublic(shell: Shell, options: { coordinator?: string }): Orien {
  return new Orien({ baseUrl: coordinatorOf(shell, options) })
}

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
    ...(rpcUrl === undefined ? {} : { rpcUrl }),
  })
  return { orien, account }
}
