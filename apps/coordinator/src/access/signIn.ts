import {
  base64url,
  type createChallenge as challengeOperation,
  type Hex,
  type Id,
  type OperationOutput,
  OrienError,
  sha256Hex,
  type verifyChallenge as verifyOperation,
} from '@orien/protocol'
import { getAddress, recoverMessageAddress } from 'viem'
import { createSiweMessage, parseSiweMessage } from 'viem/siwe'
import type { Context } from '../context.ts'
import { ensureAgent, insertChallenge, insertCredential, takeChallenge } from './store.ts'

const CHALLENGE_MS = 300_000
const TOKEN_MS = 12 * 3_600_000

/** A sign-in message (EIP-4361, https://eips.ethereum.org/EIPS/eip-4361) that works once and for five minutes. */
export async function createChallenge(
  ctx: Context,
  address: Hex,
): Promise<OperationOutput<typeof challengeOperation>> {
  const issuedAt = ctx.clock.now()
  const expiresAt = new Date(issuedAt.getTime() + CHALLENGE_MS)
  const nonce = Buffer.from(ctx.random.bytes(16)).toString('hex')
  const url = new URL(ctx.config.baseUrl)
  const message = createSiweMessage({
    address: getAddress(address),
    chainId: ctx.chain.chainId,
    domain: url.host,
    uri: url.origin,
    version: '1',
    statement: 'Sign in to ORIEN. This costs nothing and moves no money.',
    nonce,
    issuedAt,
    expirationTime: expiresAt,
  })
  await ctx.db.write(({ tx }) => insertChallenge(tx, { nonce, address, expiresAt }))
  return { message, expiresAt: expiresAt.toISOString() }
}

/**
 * Exchanges a signed message for a bearer token.
 *
 * @throws OrienError `challenge_expired` for a message that is not ours, used or too old; `signature_invalid`
 */
export async function verifyChallenge(
  ctx: Context,
  input: { message: string; signature: string },
): Promise<OperationOutput<typeof verifyOperation>> {
  const parsed = parseSiweMessage(input.message)
  const { nonce, address } = parsed
  if (
    !nonce ||
    !address ||
    parsed.domain !== new URL(ctx.config.baseUrl).host ||
    parsed.chainId !== ctx.chain.chainId
  ) {
    throw new OrienError('challenge_expired', 'This message was not issued here')
  }
  const wallet = address.toLowerCase() as Hex
  const signer = await recoverMessageAddress({
    message: input.message,
    signature: input.signature as Hex,
  }).catch(() => null)
  if (signer?.toLowerCase() !== wallet)
    throw new OrienError('signature_invalid', 'The message is not signed by its address')
  const token = `orien_${base64url(ctx.random.bytes(32))}`
  const expiresAt = new Date(ctx.clock.now().getTime() + TOKEN_MS)
  const agentId = await ctx.db.write(async ({ tx }) => {
    const challenge = await takeChallenge(tx, nonce)
    if (challenge?.address !== wallet) throw new OrienError('challenge_expired')
    const id = await ensureAgent(tx, ctx.random.id('agent'), wallet)
    await insertCredential(tx, {
      id: ctx.random.id('key'),
      kind: 'token',
      secretHash: sha256Hex(token),
      agentId: id,
      scopes: ['read', 'spend'],
      expiresAt,
    })
    return id as Id<'agent'>
  })
  return { token, agentId, expiresAt: expiresAt.toISOString() }
}
