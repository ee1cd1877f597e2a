/** `main.mjs --width=N --height=N --samples=N --output=NAME [--scene=FILE]`: renders, tells how far it is, writes a PNG. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { encodePng } from './png.mjs'
import { BUILT_IN, FORMAT, findIssues } from './scene.mjs'

const WORKSPACE = process.cwd()
const MAX_SCENE_BYTES = 262_144
const MAX_THREADS = 4
const WRONG_USE = 2

function giveUp(...lines) {
  process.stderr.write(`${lines.join('\n')}\n`)
  process.exit(WRONG_USE)
}

function integer(values, name, fallback, min, max) {
  const value = values[name] === undefined ? fallback : Number(values[name])
  if (!Number.isInteger(value) || value < min || value > max)
    giveUp(`${name} must be a whole number from ${min} to ${max}`)
  return value
}

function readScene(path) {
  if (path === undefined) return BUILT_IN
  if (statSync(path).size > MAX_SCENE_BYTES) giveUp(`the scene is over ${MAX_SCENE_BYTES} bytes`)
  let scene
  try {
    scene = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    giveUp(`the scene is not JSON: ${error.message}`, FORMAT)
  }
  const issues = findIssues(scene)
  if (issues.length > 0) giveUp(...issues.slice(0, 20), FORMAT)
  return scene
}

function readArguments() {
  const text = { type: 'string' }
  const { values } = parseArgs({
    options: { width: text, height: text, samples: text, output: text, scene: text },
  })
  const output = resolve(WORKSPACE, values.output ?? 'render.png')
  if (!output.startsWith(`${WORKSPACE}/`)) giveUp('the output must be a name in the workspace')
  return {
    width: integer(values, 'width', 640, 64, 1920),
    height: integer(values, 'height', 360, 64, 1080),
    samples: integer(values, 'samples', 32, 1, 256),
    scene: readScene(values.scene),
    output,
  }
}

/** Rows go to whoever is free; the picture is the same for any number of threads. */
async function render({ scene, width, height, samples }, threads) {
  const shared = new SharedArrayBuffer(width * height * 3)
  const counter = new SharedArrayBuffer(4)
  let done = 0
  const workers = Array.from({ length: threads }, () => {
    const worker = new Worker(new URL('./worker.mjs', import.meta.url), {
      workerData: { scene, width, height, samples, shared, counter },
    })
    worker.on('message', () => {
      const before = Math.floor((done * 10) / height)
      done += 1
      const now = Math.floor((done * 10) / height)
      if (now > before) console.log(`${now * 10} %`)
    })
    return new Promise((finish, fail) => {
      worker
        .on('error', fail)
        .on('exit', (code) => (code === 0 ? finish() : fail(new Error(`a thread ended with ${code}`))))
    })
  })
  await Promise.all(workers)
  return new Uint8Array(shared)
}

const job = readArguments()
const threads = Math.min(MAX_THREADS, availableParallelism())
console.log(
  `${job.width} × ${job.height}, ${job.samples} samples, ${job.scene.spheres.length} spheres, ${threads} threads`,
)
const startedAt = performance.now()
const png = encodePng(await render(job, threads), job.width, job.height)
mkdirSync(dirname(job.output), { recursive: true })
writeFileSync(job.output, png)
const seconds = (performance.now() - startedAt) / 1_000
console.log(
  `wrote ${job.output.slice(WORKSPACE.length + 1)}, ${png.length} bytes, in ${seconds.toFixed(1)} s`,
)
