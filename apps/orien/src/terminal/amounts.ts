import { formatUsdc, type UsdcMicros } from '@orien/protocol/money'

/** An amount with all six decimals, so that amounts in a column can be compared digit by digit. */
export function exactUsdc(amount: UsdcMicros): string {
  return formatUsdc(amount).replace(/\.(\d+)$/, (_whole, decimals: string) => `.${decimals.padEnd(6, '0')}`)
}

/** Milliseconds with thousands set apart. */
export function groupedMs(ms: number): string {
  return ms.toString().replaceAll(/\B(?=(\d{3})+$)/g, ',')
}

/** `1 run`, `2 runs`. */
export function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`
}

/** A short time for people: `412 ms`, `3.2 s`, `2 min 5 s`. */
export function shortTime(ms: number): string {
  if (ms < 1_000) return `${ms} ms`
  if (ms < 60_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`
  return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1_000)} s`
}

/** A size for people: `812 B`, `1.4 MiB`. */
export function shortBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB']
  let size = bytes
  let unit = 0
  while (size >= 1_024 && unit < units.length - 1) {
    size /= 1_024
    unit += 1
  }
  return unit === 0 ? `${bytes} B` : `${size.toFixed(1)} ${units[unit]}`
}
