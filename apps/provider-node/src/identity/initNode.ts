import {
  deriveProviderId,
  type Hex,
  type Id,
  type OperatorTerms,
  OrienError,
  type Registration,
  registrationDigest,
  registration as registrationSchema,
  setOperatorDigest,
  toHex,
  type UsdcMicros,
} from '@orien/protocol'
import { addressOfKey, publicKeyOfSeed, recoverSigner } from '@orien/sdk'
import { type Clock, systemClock } from '../clock.ts'
import { DEFAULT_TIMING } from '../limits.ts'
import { type Random, systemRandom } from '../random.ts'
import { drawSecrets, type NodeSecrets, storeSecrets } from './keys.ts'
import type { Owner } from './owner.ts'
import { type Provider, saveProvider } from './providerFile.ts'

/** What an owner decides about a new provider. */
export type InitOptions = {
  /** A directory of this node alone; made with mode 0711, its files with 0600. */
  dataDir: string
  /** Is paid, and signs twice. */
  owner: Owner
  name: string
  rateMicrosPerMinute: UsdcMicros
  chain: Provider['chain']
  rpcUrl?: string
  coordinatorUrl?: string
  clock?: Clock
  random?: Random
}

/** A node that can be started. */
export type InitialisedNode = { providerId: Id<'provider'>; payout: Hex; operator: Hex; nodeKey: string }

/**
 * Makes a node: its keys, and the owner's two signatures that bind them (registration and operator key).
 *
 * @throws OrienError `setup_failed` when the directory already holds a node, `signature_invalid` when the wallet
 * signs in a form that the contract refuses, `validation_failed` for a name or a rate out of range
 */
export async function initNode(options: InitOptions): Promise<InitialisedNode> {
  const { clock = systemClock, random = systemRandom } = options
  if (options.rateMicrosPerMinute <= 0n)
    throw new OrienError('validation_failed', 'the rate must be above zero')
  const secrets = drawSecrets(random)
  const registration = draftRegistration(options, secrets, { clock, random })
  const operatorTerms = draftOperator(options, registration.operator, { clock, random })
  const { owner, chain, rateMicrosPerMinute } = options
  const signatures = await owner.sign({ registration, operatorTerms, chain, rateMicrosPerMinute })
  checkOwner(registrationDigest(registration), signatures.registration, owner.payout)
  checkOwner(setOperatorDigest(chain, operatorTerms), signatures.operator, owner.payout)
  // Stored after the signatures: an owner who declines leaves an empty directory behind.
  await storeSecrets(options.dataDir, secrets).catch((cause: unknown) => {
    throw new OrienError(
      'setup_failed',
      'the directory already holds a node, or is not writable',
      {},
      { cause },
    )
  })
  await saveProvider(options.dataDir, {
    v: 1,
    registration,
    signature: signatures.registration,
    operatorAuthorization: {
      nonce: operatorTerms.nonce.toString(),
      deadline: operatorTerms.deadline,
      signature: signatures.operator,
    },
    rateMicrosPerMinute,
    chain,
    ...(options.rpcUrl ? { rpcUrl: options.rpcUrl } : {}),
    ...(options.coordinatorUrl ? { coordinatorUrl: options.coordinatorUrl } : {}),
  })
  const { providerId, payout, operator, nodeKey } = registration
  return { providerId, payout, operator, nodeKey }
}

type Sources = { clock: Clock; random: Random }

const unixSeconds = (clock: Clock) => Math.floor(clock.nowMs() / 1_000)

function draftRegistration(
  options: InitOptions,
  secrets: NodeSecrets,
  { clock, random }: Sources,
): Registration {
  const { payout } = options.owner
  const salt = toHex(random.bytes(32))
  const parsed = registrationSchema.safeParse({
    providerId: deriveProviderId(payout, salt),
    name: options.name,
    payout,
    salt,
    nodeKey: publicKeyOfSeed(secrets.nodeSeed),
    operator: addressOfKey(secrets.operatorKey),
    issuedAt: unixSeconds(clock),
  })
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
  throw new OrienError('validation_failed', 'this cannot be registered', { issues })
}

function draftOperator(
  { owner: { payout } }: InitOptions,
  operator: Hex,
  { clock, random }: Sources,
): OperatorTerms {
  const deadline = unixSeconds(clock) + Math.floor(DEFAULT_TIMING.authorisationValidityMs / 1_000)
  // Nonces of the escrow are a set, not a counter: a random one cannot collide with the owner's other nodes.
  return { owner: payout, operator, allowed: true, nonce: BigInt(toHex(random.bytes(32))), deadline }
}

/** What is refused later on the chain or by the coordinator is better refused here, where the owner still sits. */
function checkOwner(digest: Hex, signature: Hex, owner: Hex): void {
  if (recoverSigner(digest, signature) === owner) return
  throw new OrienError('signature_invalid', 'the wallet did not sign as a plain account with this address')
}
