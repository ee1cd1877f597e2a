import { OrienError } from '@orien/protocol/errors'
import { parseUsdc, type UsdcMicros } from '@orien/protocol/money'
import { wrongUse } from '../terminal/wrongUse.ts'

/** Reads an amount of USDC from the command line; undefined stays undefined. */
export function readUsdc(option: string, text: string): UsdcMicros
export function readUsdc(option: string, text: string | undefined): UsdcMicros | undefined
export function readUsdc(option: string, text: string | undefined): UsdcMicros | undefined {
  if (text === undefined) return undefined
  try {
    return parseUsdc(text)
  } catch (error) {
    if (error instanceof OrienError) throw wrongUse(`${option}: ${error.message}`)
    throw error
  }
}
