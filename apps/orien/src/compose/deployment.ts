import { link, mkdir, open, readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { address, bytes32, OrienError } from '@orien/protocol'
import type { EscrowTerms } from '@orien/rails'
import { z } from 'zod'

const deployment = z.strictObject({
  version: z.literal(1),
  chainId: z.int().min(1),
  escrow: address,
  token: address,
  platform: address,
  reserve: address,
  closeGraceSeconds: z.int().min(1),
  /** Null when the contract was found standing. */
  txHash: bytes32.nullable(),
  /** Decimal; null with the transaction. */
  blockNumber: z
    .string()
    .regex(/^\d{1,20}$/)
    .nullable(),
})
/** An escrow that was deployed and checked. */
type Deployment = z.output<typeof deployment>

/**
 * Reads the record of a deployment.
 *
 * @returns null when there is none
 * @throws OrienError `unreadable`
 */
export async function readDeployment(path: string): Promise<Deployment | null> {
  const hint = 'Restore it from a backup. Its escrow and terms are also in the transaction that deployed it.'
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw new OrienError('unreadable', `The record ${path} cannot be read`, { hint }, { cause: error })
  })
  if (text === null) return null
  try {
    return deployment.parse(JSON.parse(text))
  } catch (cause) {
    throw new OrienError('unreadable', `The record ${path} is damaged`, { hint }, { cause })
  }
}

/**
 * Written beside and linked into place, so that the name never shows half a record nor replaces one.
 *
 * @throws OrienError `setup_failed` with the reason `already_deployed`
 */
export async function writeDeployment(path: string, made: Deployment): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const draftPath = `${path}.${process.pid}`
  const draft = await open(draftPath, 'w', 0o644)
  try {
    await draft.writeFile(`${JSON.stringify(made, null, 2)}\n`)
    await draft.sync()
    await link(draftPath, path).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'EEXIST' ? alreadyDeployed(path, made.escrow) : error
    })
  } finally {
    await draft.close()
    await rm(draftPath, { force: true })
  }
}

/** A second escrow beside the first would split the money of one coordinator. */
export function alreadyDeployed(path: string, escrow: string): OrienError {
  return new OrienError('setup_failed', `An escrow was deployed from here: ${escrow}`, {
    reason: 'already_deployed',
    hint: `It is recorded in ${path}. For another one name another data directory: --data-dir DIR`,
  })
}

/** The terms that a record names. */
export function termsOf({ token, platform, reserve, closeGraceSeconds }: Deployment): EscrowTerms {
  return { token, platform, reserve, closeGraceSeconds: BigInt(closeGraceSeconds) }
}
