import { closeSync, existsSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { type Hex, micros, type UsdcMicros, ZERO } from '@orien/protocol'

/** What was signed for each channel; it only grows, also over a restart. */
export type Book = {
  signedMicros(channel: Hex): UsdcMicros
  /** Returns once the kernel has it: a signer that is killed afterwards remembers. */
  note(channel: Hex, claimMicros: UsdcMicros): void
  close(): void
}

const LINE = /^(0x[0-9a-f]{64}) (\d{1,38})$/

function readBook(path: string): Map<Hex, UsdcMicros> {
  const signed = new Map<Hex, UsdcMicros>()
  if (!existsSync(path)) return signed
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    // A crash can leave half a line at the end; its signature never left.
    const [, channel, amount] = LINE.exec(line) ?? []
    if (!channel || !amount) continue
    const claimMicros = micros(BigInt(amount))
    if (claimMicros >= (signed.get(channel as Hex) ?? ZERO)) signed.set(channel as Hex, claimMicros)
  }
  return signed
}

/** Opens the book of a data directory, shortened to one line a channel. */
export function openBook(path: string): Book {
  const signed = readBook(path)
  const lines = [...signed].map(([channel, amount]) => `${channel} ${amount}\n`)
  writeFileSync(`${path}.new`, lines.join(''), { mode: 0o600, flush: true })
  renameSync(`${path}.new`, path)
  // Stays open when the signer gives up the right to open it.
  const file = openSync(path, 'a', 0o600)
  return {
    signedMicros: (channel) => signed.get(channel) ?? ZERO,
    note: (channel, claimMicros) => {
      if (signed.get(channel) === claimMicros) return
      writeSync(file, `${channel} ${claimMicros}\n`)
      signed.set(channel, claimMicros)
    },
    close: () => closeSync(file),
  }
}
