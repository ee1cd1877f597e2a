/** Tasks of one key run one after the other; those of different keys at once. */
export type Order = { next<T>(key: string, task: () => Promise<T>): Promise<T> }

export function inOrder(): Order {
  const last = new Map<string, Promise<unknown>>()
  return {
    next: (key, task) => {
      const mine = (last.get(key) ?? Promise.resolve()).then(task, task)
      const settled = mine.catch(() => {})
      last.set(key, settled)
      void settled.then(() => {
        if (last.get(key) === settled) last.delete(key)
      })
      return mine
    },
  }
}
