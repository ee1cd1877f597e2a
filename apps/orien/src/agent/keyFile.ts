import { chmod, link, mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Hex, OrienError } from '@orien/protocol'

const OTHERS = 0o077

/**
 * Reads the private key of a wallet from a file; makes both when there is none.
 *
 * @param drawKey makes the key of a new wallet
 * @throws OrienError `setup_failed` when others may read the file, `unreadable` when it holds no key
 */
export async function openKeyFile(
  path: string,
  drawKey: () => Hex,
): Promise<{ privateKey: Hex; isNew: boolean }> {
  const isNew = await createKeyFile(path, drawKey)
  return { privateKey: await readKeyFile(path), isNew }
}

/**
 * Reads the private key of a wallet.
 *
 * @throws OrienError `setup_failed` when others may read the file, `unreadable` when it holds no key
 */
export async function readKeyFile(path: string): Promise<Hex> {
  const missing = (cause: unknown) => {
    throw new OrienError('unreadable', `The key file ${path} cannot be read`, {}, { cause })
  }
  const { mode } = await stat(path).catch(missing)
  if ((mode & OTHERS) !== 0) {
    throw new OrienError('setup_failed', `The key file ${path} can be read by others`, {
      hint: `chmod 600 ${path}`,
    })
  }
  const text = (await readFile(path, 'utf8').catch(missing)).trim()
  const key = text.startsWith('0x') ? text : `0x${text}`
  if (/^0x[0-9a-fA-F]{64}$/.test(key)) return key as Hex
  throw new OrienError('unreadable', `The file ${path} holds no private key (32 bytes in hex)`)
}

/**
 * Written beside and linked into place, so that the name never shows a half-written key nor replaces one.
 *
 * @returns false when there was one already
 */
export async function createKeyFile(path: string, drawKey: () => Hex): Promise<boolean> {
  if (await exists(path)) return false
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const draftPath = `${path}.${process.pid}`
  const draft = await open(draftPath, 'wx', 0o600)
  try {
    await draft.writeFile(`${drawKey()}\n`)
    await draft.sync()
    await chmod(draftPath, 0o600)
    return await link(draftPath, path).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false
        throw error
      },
    )
  } finally {
    await draft.close()
    await rm(draftPath, { force: true })
  }
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )
