/** Messages that came, and those who wait for one. */
export type Inbox<M> = {
  put(message: M): void
  /** The first message, past or future, that matches and that nobody has taken. */
  take(matches: (message: M) => boolean): Promise<M>
}

export function createInbox<M>(): Inbox<M> {
  const messages: M[] = []
  let waiting: { matches: (message: M) => boolean; resolve: (message: M) => void }[] = []
  return {
    put: (message) => {
      const taker = waiting.find(({ matches }) => matches(message))
      if (!taker) return void messages.push(message)
      waiting = waiting.filter((other) => other !== taker)
      taker.resolve(message)
    },
    take: (matches) => {
      const index = messages.findIndex(matches)
      const [found] = index === -1 ? [] : messages.splice(index, 1)
      if (found !== undefined) return Promise.resolve(found)
      return new Promise((resolve) => waiting.push({ matches, resolve }))
    },
  }
}
