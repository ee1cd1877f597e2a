import { createInterface } from 'node:readline/promises'
import {
  actOnEnrolment,
  createEnrolment,
  deriveProviderId,
  type EnrolmentDraft,
  fingerprintOf,
  OrienError,
} from '@orien/protocol'
import { walletOwner } from '@orien/provider-node'
import { Orien } from '@orien/sdk'
import { privateKeyToAccount } from 'viem/accounts'
import { coordinatorOf } from '../agent/coordinator.ts'
import { readKeyFile } from '../agent/keyFile.ts'
import { readPlace } from '../agent/place.ts'
import type { Handler, Shell } from '../commands/bind.ts'
import { exactUsdc } from '../terminal/amounts.ts'
import { wrongUse } from '../terminal/wrongUse.ts'
import { awaitEnrolment } from './enrolment.ts'

type Options = { ownerKeyFile: string; coordinator?: string; yes?: boolean }

/** `orien provider enrol`: where the wallet is, for a machine where it is not. */
export const enrolProvider: Handler<Options> = async (shell, options) => {
  const { terminal } = shell
  if (options.yes !== true && (terminal.isJson || !process.stdin.isTTY))
    throw wrongUse(
      'Nobody is there to confirm',
      'With --yes the first machine that uses the code is signed for.',
    )
  const account = privateKeyToAccount(await readKeyFile(options.ownerKeyFile))
  const owner = walletOwner(account)
  const baseUrl = coordinatorOf(shell, options)
  const orien = new Orien({ baseUrl, account })
  const { chainId, escrow, token } = await readPlace(baseUrl)
  const { code, expiresAt } = await orien.call(createEnrolment, {})
  if (terminal.isJson) terminal.printJson({ code, payout: owner.payout, expiresAt })
  else terminal.print(code)
  terminal.say(`On the machine: orien provider init --code ${code} --coordinator ${baseUrl}`)
  const { draft } = await awaitEnrolment(orien, code, ({ status }) => status !== 'open')
  if (!draft) throw new OrienError('unreadable', 'The coordinator says drafted and gives no draft')
  checkDraft(draft, owner.payout)
  if (options.yes !== true && !(await isConfirmed(shell, draft))) {
    terminal.say('Nothing was signed.')
    return 1
  }
  const { registration, operatorNonce, operatorDeadline, rateMicrosPerMinute } = draft
  const operatorTerms = {
    owner: owner.payout,
    operator: registration.operator,
    allowed: true,
    nonce: BigInt(operatorNonce),
    deadline: operatorDeadline,
  }
  const chain = { chainId, escrow, token }
  const signatures = await owner.sign({ registration, operatorTerms, chain, rateMicrosPerMinute })
  await orien.call(actOnEnrolment, { params: { code }, body: { action: 'sign', signatures } })
  const { providerId } = registration
  if (terminal.isJson) terminal.printJson({ code, providerId, fingerprint: fingerprintOf(registration) })
  else terminal.print(providerId)
  return 0
}

/** The coordinator carried it here: what would pay somebody else is not signed, whoever wrote it. */
function checkDraft({ registration }: EnrolmentDraft, payout: string): void {
  const isOwn =
    registration.payout === payout &&
    registration.providerId === deriveProviderId(registration.payout, registration.salt)
  if (!isOwn) throw new OrienError('registration_conflict', 'What came is not for this wallet')
}

async function isConfirmed({ terminal }: Shell, draft: EnrolmentDraft): Promise<boolean> {
  const { registration, rateMicrosPerMinute } = draft
  terminal.say(`machine      ${JSON.stringify(registration.name)}`)
  terminal.say(`price        ${exactUsdc(rateMicrosPerMinute)} USDC per effective minute`)
  terminal.say(`paid to      ${registration.payout}`)
  terminal.say(`fingerprint  ${fingerprintOf(registration)}`)
  const prompt = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await prompt.question('Does the machine show the same fingerprint? [y/N] ')
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    prompt.close()
  }
}
