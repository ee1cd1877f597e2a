import { createHash } from 'node:crypto'
import type { OutputChunk } from './driver.ts'

/** Hands output over in order, one chunk at a time, and hashes exactly what was handed over. */
export type OutputSink = {
  /** Resolves when the receiver is ready for more. @returns false once the limit is reached */
  deliver(chunk: OutputChunk): Promise<boolean>
  finish(): { outputBytes: number; outputSha256: string }
}

/** @param limitBytes stdout and stderr together; what is beyond it is dropped */
export function createOutputSink(
  limitBytes: number,
  onOutput: (chunk: OutputChunk) => void | Promise<void>,
): OutputSink {
  const hash = createHash('sha256')
  let outputBytes = 0
  return {
    async deliver({ stream, bytes }) {
      const kept = bytes.subarray(0, limitBytes - outputBytes)
      if (kept.length > 0) {
        outputBytes += kept.length
        hash.update(kept)
        await onOutput({ stream, bytes: kept })
      }
      return kept.length === bytes.length
    },
    finish: () => ({ outputBytes, outputSha256: hash.digest('hex') }),
  }
}
