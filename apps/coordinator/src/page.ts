/**
 * What a list shows of rows that were read one beyond its limit, and where the next page begins.
 *
 * @param cursorOf what names the last row that is shown; the next page begins behind it
 */
export function cutPage<Row>(
  rows: readonly Row[],
  limit: number,
  cursorOf: (last: Row) => string,
): { shown: Row[]; next: { nextCursor?: string } } {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return { shown, next: rows.length > limit && last ? { nextCursor: cursorOf(last) } : {} }
}
