import { setTimeout as pass } from 'node:timers/promises'
import { address, type Hex, OrienError } from '@orien/protocol'
import {
  type ChainFinding,
  checkChain,
  connectChain,
  deployEscrow,
  type EscrowDeployment,
  type EscrowTerms,
} from '@orien/rails'
import { systemClock } from '../clock.ts'
import type { Handler } from '../commands/bind.ts'
import { interruptible } from '../commands/interrupt.ts'
import { alreadyDeployed, readDeployment, writeDeployment } from '../compose/deployment.ts'
import { wrongUse } from '../terminal/wrongUse.ts'
import { type ChainOptions, openWorkplace, type Workplace } from './configured.ts'

type Options = ChainOptions & { platform: string; reserve: string; closeGrace: string }

/** How long a deployment is waited for; afterwards the same command goes on. */
const WAIT_MS = 300_000
const LOOK_EVERY_MS = 500
/** What the contract allows. */
const MAX_GRACE_SECONDS = 30n * 86_400n

/** `orien chain deploy`: an escrow of this version, once, checked and recorded for the coordinator. */
export const deployToChain: Handler<Options> = async (shell, options) => {
  const { terminal } = shell
  const given = readTerms(options)
  const place = await openWorkplace(shell, options)
  const recorded = await readDeployment(place.dir.deployment)
  if (recorded !== null) throw alreadyDeployed(place.dir.deployment, recorded.escrow)
  const terms: EscrowTerms = { token: place.token, ...given }
  await requireReady(place, null)
  terminal.say(`deploying on ${place.profile.name}, paid by ${place.signer.address} …`)
  const made = await interruptible((signal) => deploy(place, terms, signal))
  const escrow = address.parse(made.address)
  await requireReady(place, { escrow, terms })
  const { txHash, blockNumber } =
    made.status === 'deployed'
      ? { txHash: made.txHash, blockNumber: made.blockNumber.toString() }
      : { txHash: null, blockNumber: null }
  const { platform, reserve } = given
  const closeGraceSeconds = Number(given.closeGraceSeconds)
  const chainId = place.profile.chain.id
  const record = { version: 1, chainId, escrow, token: place.token, platform, reserve } as const
  const deployment = { ...record, closeGraceSeconds, txHash, blockNumber }
  await writeDeployment(place.dir.deployment, deployment)
  if (terminal.isJson) terminal.printJson({ ...deployment, recordPath: place.dir.deployment })
  else {
    terminal.print(`escrow       ${escrow}`)
    terminal.print(`transaction  ${txHash ?? 'none: it stood there already'}`)
    terminal.print(`code         that of this version, compared byte for byte`)
    terminal.print(`recorded in  ${place.dir.deployment}`)
  }
  return 0
}

function readTerms({ platform, reserve, closeGrace }: Options): Omit<EscrowTerms, 'token'> {
  const seconds = /^\d{1,9}$/.test(closeGrace) ? BigInt(closeGrace) : 0n
  if (seconds < 1n || seconds > MAX_GRACE_SECONDS) {
    throw wrongUse(`--close-grace is a number of seconds from 1 to ${MAX_GRACE_SECONDS}`)
  }
  return {
    platform: readOption('--platform', platform),
    reserve: readOption('--reserve', reserve),
    closeGraceSeconds: seconds,
  }
}

function readOption(option: string, text: string): Hex {
  const parsed = address.safeParse(text)
  if (parsed.success && BigInt(parsed.data) !== 0n) return parsed.data
  throw wrongUse(`${option} is not an address: ${text.slice(0, 60)}`)
}

/** Without an escrow: that one can be deployed. With one: that it is what was meant. */
async function requireReady(
  { profile, rpcUrl, token, signer }: Workplace,
  made: { escrow: Hex; terms: EscrowTerms } | null,
): Promise<void> {
  const nowSeconds = systemClock.now().getTime() / 1_000
  const escrow = made?.escrow ?? null
  const facts = { profile, token, escrow, terms: made?.terms, relayer: signer.address, nowSeconds }
  const findings = await checkChain(connectChain(profile, rpcUrl), facts)
  const stops = made === null ? stopsDeployment : stopsRecord
  const found = findings.find(stops)
  if (found === undefined || found.state === 'ok') return
  const detail = `${found.code}: ${found.detail}`
  throw new OrienError('setup_failed', detail, { reason: found.code, hint: found.fix, findings })
}

const stopsDeployment = (finding: ChainFinding) =>
  finding.state !== 'ok' && finding.code !== 'escrow_unknown' && finding.code !== 'block_gas_low'

/** What the deployment itself has used up is no reason to forget where it stands. */
const stopsRecord = (finding: ChainFinding) => finding.state === 'fault'

type Standing = Extract<EscrowDeployment, { address: Hex }>

async function deploy(place: Workplace, terms: EscrowTerms, signal: AbortSignal): Promise<Standing> {
  const { profile, rpcUrl, signer } = place
  const endMs = systemClock.monotonicMs() + WAIT_MS
  const pause = async () => {
    await pass(LOOK_EVERY_MS, undefined, { signal }).catch(() => {})
    return !signal.aborted && systemClock.monotonicMs() < endMs
  }
  const client = connectChain(profile, rpcUrl)
  const made = await deployEscrow({ client, profile, signer, pause }, terms)
  switch (made.status) {
    case 'deployed':
    case 'present':
      return made
    case 'no_factory':
      throw failed('factory_missing', `There is no CREATE2 factory at ${made.factory}`, FACTORY_HINT)
    case 'refused':
      throw failed('deployment_refused', `The chain did not take it: ${made.detail}`)
    case 'pending':
      throw failed('deployment_pending', `Transaction ${made.txHash} is not final yet`, AGAIN_HINT)
    case 'unreachable':
      throw new OrienError('chain_unavailable', `The chain did not answer: ${made.detail}`, {
        hint: AGAIN_HINT,
      })
  }
}

const AGAIN_HINT =
  'Give the same command again: the contract comes to stand once, and what stands is recorded.'
const FACTORY_HINT =
  'Have it deployed first: https://github.com/Arachnid/deterministic-deployment-proxy. Nothing was sent.'

function failed(reason: string, detail: string, hint = AGAIN_HINT): OrienError {
  return new OrienError('setup_failed', detail, { reason, hint })
}
