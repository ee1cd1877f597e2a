import { link, open, readFile, rm, stat } from 'node:fs/promises'
import { OrienError } from '@orien/protocol'
import { type Address, type Hex, isHex, keccak256 } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { randomWord } from '../random.ts'

/** All of a transaction that its signature covers. Gas in units, fees and value in wei. */
export type TransactionPlan = {
  chainId: number
  to: Address
  data: Hex
  valueWei?: bigint
  nonce: number
  gas: bigint
  maxFeePerGas: bigint
  maxPriorityFeePerGas: bigint
}

/** A transaction as it is broadcast; the hash is known before that. */
export type SignedTransaction = { raw: Hex; hash: Hex }

/** Signs in the name of an account. The key stays inside. */
export type Signer = {
  address: Address
  sign: (plan: TransactionPlan) => Promise<SignedTransaction>
}

/** A signer for a key that is already known, such as the local chain's. */
export function signerFromPrivateKey(privateKey: Hex): Signer {
  const account = privateKeyToAccount(privateKey)
  const sign = async ({ valueWei = 0n, ...fields }: TransactionPlan) => {
    const raw = await account.signTransaction({ type: 'eip1559', value: valueWei, ...fields })
    return { raw, hash: keccak256(raw) }
  }
  return { address: account.address, sign }
}

/**
 * The signer whose key is in a file, which is made with mode 0600 when there is none. Of several processes that
 * do so at once, all get the same key.
 *
 * @throws OrienError `setup_failed` when others may read the file, `unreadable` when it holds no key
 */
export async function openSigner(keyPath: string): Promise<Signer> {
  await createKeyFile(keyPath)
  const { mode } = await stat(keyPath)
  if ((mode & 0o077) !== 0) {
    throw new OrienError('setup_failed', 'The key file can be read by others; set its mode to 0600')
  }
  const text = (await readFile(keyPath, 'utf8')).trim()
  if (!isHex(text) || text.length !== 66) throw new OrienError('unreadable', 'The key file holds no key')
  return signerFromPrivateKey(text)
}

/** Written beside and linked into place, so that the name never shows a half-written key nor replaces one. */
async function createKeyFile(keyPath: string): Promise<void> {
  const draftPath = `${keyPath}.${randomWord().slice(2, 14)}`
  const draft = await open(draftPath, 'wx', 0o600)
  try {
    await draft.writeFile(`${generatePrivateKey()}\n`)
    await draft.sync()
    await link(draftPath, keyPath).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  } finally {
    await draft.close()
    await rm(draftPath)
  }
}
