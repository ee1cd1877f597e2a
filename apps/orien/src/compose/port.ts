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

/** A port of this machine that nobody listens on now. */
export function freePort(): Promise<number> {
  return listenOn(0, '127.0.0.1')
}

/** @returns the wanted port when it is free, else any */
export function preferPort(wanted: number): Promise<number> {
  return listenOn(wanted, '127.0.0.1').catch(freePort)
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
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    return isTaken ? taken(error) : '127.0.0.1'
  }
}

export function portTaken(port: number, cause: unknown): OrienError {
  const detail = `Port ${port} of this machine is taken or not allowed`
  const hint = 'Stop what uses it, or choose another one: orien up --port 3100'
  return new OrienError('setup_failed', detail, { reason: 'port_taken', hint }, { cause })
}
