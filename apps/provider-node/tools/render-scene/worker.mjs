import { parentPort, workerData } from 'node:worker_threads'
import { createTracer } from './trace.mjs'

const { scene, width, height, samples, shared, counter } = workerData
const pixels = new Uint8Array(shared)
const next = new Int32Array(counter)
const renderRow = createTracer(scene, width, height, samples)

for (let y = Atomics.add(next, 0, 1); y < height; y = Atomics.add(next, 0, 1)) {
  renderRow(y, pixels.subarray(y * width * 3, (y + 1) * width * 3))
  parentPort.postMessage(y)
}
