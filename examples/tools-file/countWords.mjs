// node countWords.mjs <text> --most=<n> <table>
import { readFileSync, writeFileSync } from 'node:fs'

const [input, most, output] = process.argv.slice(2)
const words =
  readFileSync(input, 'utf8')
    .toLowerCase()
    .match(/[\p{L}\p{N}]+/gu) ?? []
const counts = Map.groupBy(words, (word) => word)
const rows = [...counts].map(([word, found]) => [word, found.length]).sort((a, b) => b[1] - a[1])
const table = rows.slice(0, Number(most.slice('--most='.length)))
writeFileSync(output, `word,count\n${table.map((row) => `${row.join(',')}\n`).join('')}`)
console.log(`${words.length} words, ${rows.length} of them different`)
