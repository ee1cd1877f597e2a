import type { Tap } from '../tap.ts'

/** How long `held` keeps a message and all behind it, and `later` waits for a message to let pass. */
const HOLD_MS = 400

/** One direction of one connection: messages leave in the order in which they came, unless a fault says otherwise. */
export type Pump<T> = { push: (site: string, message: T) => void }

export type PumpEnds<T> = {
  send: (message: T) => void
  cut: () => void
  /** Called when nothing waits any more. */
  onIdle?: () => void
}

export function createPump<T>(tap: Tap, { send, cut }: PumpEnds<T>): Pump<T> {
  let tail = Promise.resolve()
  let late: { message: T; timer: NodeJS.Timeout } | null = null
  const release = () => {
    if (!late) return
    clearTimeout(late.timer)
    const { message } = late
    late = null
    send(message)
  }
  const pass = async (site: string, message: T) => {
    const verdict = await tap.pass(site)
    if (verdict === 'cut' || verdict === 'refuse') return cut()
    if (verdict === 'drop') return
    if (verdict === 'later') {
      late = { message, timer: setTimeout(release, HOLD_MS) }
      return
    }
    if (verdict === 'held') await new Promise<void>((resolve) => void setTimeout(resolve, HOLD_MS))
    send(message)
    if (verdict === 'twice') send(message)
    release()
  }
  return {
    push: (site, message) => {
      tail = tail.then(() => pass(site, message)).catch(cut)
    },
  }
}
