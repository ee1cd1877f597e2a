/** Does the work of every item, so many at a time; results in the items' order. The first that throws ends it. */
export async function atOnce<Item, Result>(
  width: number,
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  const left = items.map((item, index) => ({ item, index })).reverse()
  const worker = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop())
      results[next.index] = await work(next.item)
  }
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker))
  return results
}
