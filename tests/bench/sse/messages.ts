/** What the measuring process and its children say to one another. */

/** From a server: where its stream is, and what it takes to read it. */
export type ServerReady = { ready: { port: number; path: string; headers: Record<string, string> } }
/** From a server, after a collection of garbage. */
export type ServerMemory = { memory: { rssBytes: number; heapBytes: number } }
/** To a server: measure, or send so many events, the last of which carries the mark. */
export type ToServer = { ask: 'memory' } | { ask: 'publish'; events: number; mark: string }

/** To a client: open so many streams, or wait until each of them has seen the mark. */
export type ToClient =
  | { ask: 'open'; count: number; port: number; path: string; headers: Record<string, string> }
  | { ask: 'await'; mark: string }
/** From a client, when that is done. */
export type FromClient = { opened: number } | { seen: string }
