import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { OrienError } from '@orien/protocol'

const OTHERS = 0o077

/** Writes a new file that only its owner can read; never replaces one, because a replaced key is a lost key. */
export async function writeSecretFile(path: string, text: string): Promise<void> {
  const file = await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600)
  try {
    // The umask can only take bits away, but a default ACL of the directory can add them.
    await file.chmod(0o600)
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

/**
 * Reads a file that only its owner may read.
 *
 * @throws OrienError `setup_failed` when it is absent, or open to others
 */
export async function readSecretFile(path: string): Promise<string> {
  const name = basename(path)
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((cause: unknown) => {
    const detail = `${name} is not there or cannot be read; \`orien provider init\` makes it`
    throw new OrienError('setup_failed', detail, {}, { cause })
  })
  try {
    const { mode } = await file.stat()
    if ((mode & OTHERS) !== 0)
      throw new OrienError('setup_failed', `${name} can be read by others: chmod 600 it`)
    return (await file.readFile('utf8')).trim()
  } finally {
    await file.close()
  }
}
