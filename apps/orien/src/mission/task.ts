import { parseUsdc, type UsdcMicros } from '@orien/protocol'

/** One run of the mission. */
export type Step = {
  /** What it is for, in a sentence. */
  purpose: string
  tool: string
  args: Record<string, unknown>
  maxCostMicros: UsdcMicros
  /** How it has to end. */
  expected: 'completed' | 'budget_exhausted'
  /** A file that it writes and that is brought home. */
  bringsHome?: string
}

/** What the agent deposits. More than it needs: the rest has to come back. */
export const MISSION_BUDGET = parseUsdc('0.50')
/** What the faucet of a development stack gives to the fresh wallet. */
export const MISSION_GIFT = parseUsdc('5.00')
/** Twenty seconds at the development node's price: for a picture, that is a slow machine. */
const RENDER_MAX_COST = parseUsdc('0.20')
const SMALL_MAX_COST = parseUsdc('0.10')
/** Half a second of an endless loop. */
const LOOP_MAX_COST = parseUsdc('0.005')

const PICTURE = 'cover.png'

const SUMMARISE = `import { readFileSync, writeFileSync } from 'node:fs'
const [, ...rows] = readFileSync('measurements.csv', 'utf8').trim().split('\\n').map((line) => line.split(','))
const stations = Map.groupBy(rows, ([station]) => station)
const summary = [...stations].map(([station, readings]) => {
  const values = readings.map((reading) => Number(reading[2]))
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return { station, readings: values.length, mean: Number(mean.toFixed(2)), highest: Math.max(...values) }
})
for (const { station, readings, mean, highest } of summary)
  console.log(station.padEnd(8), readings, 'readings, mean', mean.toFixed(2), 'highest', highest.toFixed(1))
writeFileSync('summary.json', JSON.stringify(summary))
console.log('wrote summary.json')
`

const REPORT = `import summary from '../summary.json'
import { heading, row } from './format.js'
export const report = [heading('Measurements'), ...summary.map(row)].join('\\n')
`

const FORMAT = `export const heading = (text) => '# ' + text
export const row = ({ station, mean, highest }) => '- ' + station + ': ' + mean + ' on average, ' + highest + ' at most'
`

/** Readings of three stations over four days; made by a formula, so that every mission has the same. */
function measurements(): string {
  const stations = ['harbour', 'hill', 'forest']
  const lines = stations.flatMap((station, place) =>
    Array.from({ length: 96 }, (_, hour) => {
      const value = 12 + place * 1.7 + 6 * Math.sin(((hour - 8) * Math.PI) / 12) + hour / 48
      return `${station},${hour},${value.toFixed(1)}`
    }),
  )
  return `${['station,hour,celsius', ...lines].join('\n')}\n`
}

/** What the agent brings along, by name in the workspace. */
export function missionFiles(): Record<string, string> {
  return { 'measurements.csv': measurements(), 'report/main.js': REPORT, 'report/format.js': FORMAT }
}

/** What it runs, in this order: each step uses what the one before has left in the workspace. */
export const MISSION_STEPS: readonly Step[] = [
  {
    purpose: 'reads the uploaded measurements.csv and writes summary.json',
    tool: 'execute_script',
    args: { language: 'javascript', code: SUMMARISE },
    maxCostMicros: SMALL_MAX_COST,
    expected: 'completed',
  },
  {
    purpose: 'bundles the report with that summary into dist/',
    tool: 'run_build',
    args: { entry: 'report/main.js', minify: true },
    maxCostMicros: SMALL_MAX_COST,
    expected: 'completed',
  },
  {
    purpose: 'renders the cover picture',
    tool: 'render_scene',
    args: { width: 480, height: 270, samples: 12, output: PICTURE },
    maxCostMicros: RENDER_MAX_COST,
    expected: 'completed',
    bringsHome: PICTURE,
  },
  {
    purpose: 'runs an endless loop, to be stopped at its maximum cost',
    tool: 'execute_script',
    args: { language: 'javascript', code: 'for (;;) {}' },
    maxCostMicros: LOOP_MAX_COST,
    expected: 'budget_exhausted',
  },
]
