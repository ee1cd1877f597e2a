import { createServer } from 'node:net'
import { OrienError } from '@orien/protocol'

function listenOn(port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen({ port, host, exclusive: true }, () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : port))
    })
  })
}

const anyPort = () => listenOn(0, '127.0.0.1')
/** The other loopback address hardly ever has another user of the same port. */
const MAX_DRAWS = 20

/**
 * A port of this machine that nobody listens on now, on neither loopback address: what is served on `localhost` has to
 * be found by callers who try IPv6 first, and must not be somebody else.
 *
 * @param draw gives a port that is free on 127.0.0.1
 */
export async function freePort(draw: () => Promise<number> = anyPort): Promise<number> {
  let port = await draw()
  for (let drawn = 1; drawn < MAX_DRAWS && (await isTakenOnIpv6(port)); drawn += 1) port = await draw()
  return port
}

function isTakenOnIpv6(port: number): Promise<boolean> {
  return listenOn(port, '::1').then(
    () => false,
    (error: unknown) => isInUse(error),
  )
}

const isInUse = (error: unknown) => error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'

/** @returns the wanted port when it is free, else any */
export function preferPort(wanted: number): Promise<number> {
  return listenOn(wanted, '127.0.0.1').catch(() => freePort())
}

/**
 * Makes sure that a port can be listened on, before anything is started that would have to be stopped again.
 *
 * @returns the host to listen on: both loopback addresses, where the machine has them
 * @throws OrienError `setup_failed` with the reason `port_taken`
 */
export async function requirePort(port: number): Promise<'localhost' | '127.0.0.1'> {
  const taken = (cause: unknown) => {
    throw portTaken(port, cause)
  }
  await listenOn(port, '127.0.0.1').catch(taken)
  try {
    await listenOn(port, '::1')
    return 'localhost'
  } catch (error) {
    // A machine without IPv6 is served on what it has.
    return isInUse(error) ? taken(error) : '127.0.0.1'
  }
}

export function portTaken(port: number, cause: unknown): OrienError {
  const detail = `Port ${port} of this machine is taken or not allowed`
  const hint = 'Stop what uses it, or choose another one: orien up --port 3100'
  return new OrienError('setup_failed', detail, { reason: 'port_taken', hint }, { cause })
}
