import { createHash, type Hash } from 'node:crypto'
import type { OutputChunk } from './driver.ts'

/** Hands output over in order, one chunk at a time, and hashes exactly what was handed over. */
export type OutputSink = {
  /** Resolves when the receiver is ready for more. @returns false once the limit is reached */
  deliver(chunk: OutputChunk): Promise<boolean>
  finish(): { outputBytes: number; outputSha256: string }
}

const SHA256_OF_NOTHING = createHash('sha256').digest('hex')

/** @param limitBytes stdout and stderr together; what is beyond it is dropped */
export function createOutputSink(
  limitBytes: number,
  onOutput: (chunk: OutputChunk) => void | Promise<void>,
): OutputSink {
  let hash: Hash | undefined
  let outputBytes = 0
  return {
    async deliver({ stream, bytes }) {
      const kept = bytes.subarray(0, limitBytes - outputBytes)
      if (kept.length > 0) {
        outputBytes += kept.length
        hash ??= createHash('sha256')
        hash.update(kept)
        await onOutput({ stream, bytes: kept })
      }
      return kept.length === bytes.length
    },
    finish: () => ({ outputBytes, outputSha256: hash?.digest('hex') ?? SHA256_OF_NOTHING }),
  }
}
