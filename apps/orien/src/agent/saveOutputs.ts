import { createHash } from 'node:crypto'
import { type ExecutionView, OrienError, type Receipt, readReceipt } from '@orien/protocol'
import type { Session } from '@orien/sdk'
import { saveFile } from './localFiles.ts'

/** The files that a run wrote, as its receipt names them. */
export function outputsOf({ receipt }: ExecutionView): Receipt['outputs'] {
  return (receipt === undefined ? null : readReceipt(receipt))?.receipt.outputs ?? []
}

/**
 * Saves the files that a run wrote, as its receipt names them.
 *
 * @returns their paths
 * @throws OrienError `digest_mismatch` when a file is not the one that the receipt was signed over
 */
export async function saveOutputs(
  session: Session,
  execution: ExecutionView,
  dir: string,
): Promise<string[]> {
  const saved: string[] = []
  for (const output of outputsOf(execution)) {
    saved.push(await saveFile(dir, output.name, checked(session.downloadPieces(output.name), output)))
  }
  return saved
}

/** The pieces, and an error at their end when they are not what was signed. */
async function* checked(
  pieces: AsyncIterable<Uint8Array>,
  signed: { name: string; sha256: string },
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  for await (const piece of pieces) {
    hash.update(piece)
    yield piece
  }
  if (hash.digest('hex') === signed.sha256) return
  throw new OrienError('digest_mismatch', `"${signed.name}" has changed since its receipt was signed`)
}
