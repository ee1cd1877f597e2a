import { appendFile, mkdir, readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { OrienError, type UsdcMicros, ZERO } from '@orien/protocol'
import { addToTotal, type SpendingRecord } from '@orien/sdk'
import { systemClock } from '../clock.ts'

/** A line is about a hundred bytes: far more deposits than a wallet of the command line makes in years. */
const MAX_BYTES = 16_777_216

/** The same line twice would be one line; process, time and a count tell them apart. */
let lines = 0

/**
 * Totals of deposits in a file of mode 0600 that all commands of this user share. It is only ever appended to, a line
 * at a time, and a line's total is that of all before it: commands that count at the same moment need no lock, and one
 * that is killed has counted or has not.
 *
 * @throws OrienError from its `add`: `unreadable` when the file is damaged or too large: a cap must not be lifted by that
 */
export function fileSpendingRecord(path: string): SpendingRecord {
  return {
    add: async (account, amountMicros) => {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      lines += 1
      const line = JSON.stringify([
        account,
        amountMicros.toString(),
        `${process.pid} ${systemClock.now().toISOString()} ${lines}`,
      ])
      await refuseLarge(path)
      // With the line's end in front: a line that a full disk cut off spoils no other.
      await appendFile(path, `\n${line}\n`, { mode: 0o600 })
      return totalAt(await readFile(path, 'utf8'), line, { path, account })
    },
  }
}

async function refuseLarge(path: string): Promise<void> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  )
  if (size > MAX_BYTES) throw new OrienError('unreadable', `${path} has grown too large; move it away`)
}

/** What an account holds at a line. */
function totalAt(text: string, line: string, of: { path: string; account: string }): UsdcMicros {
  let total: UsdcMicros = ZERO
  for (const candidate of text.split('\n')) {
    if (candidate === '') continue
    const [account, amount] = readLine(candidate, of.path)
    if (account === of.account) total = addToTotal(total, amount)
    if (candidate === line) return total
  }
  throw new OrienError('unreadable', `${of.path} has lost what was written to it`)
}

function readLine(line: string, path: string): [string, bigint] {
  try {
    const [account, amount] = JSON.parse(line) as unknown[]
    if (typeof account === 'string' && typeof amount === 'string') return [account, BigInt(amount)]
  } catch {
    // Told below.
  }
  throw new OrienError('unreadable', `${path} does not hold what was spent`)
}
