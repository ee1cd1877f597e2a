import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { systemClock } from '../../clock.ts'
import { randomName } from '../names.ts'

/** Changes with every change to how containers are made or measured: a proof of another one is none. */
const CONTAINER_DRIVER_VERSION = 1

/** The engine that a proof is about. */
export type EngineIdentity = { id: string; version: string; runtime: string }

/** That the contract suite and every canary passed against one engine on this machine. */
const proofFile = z.strictObject({
  v: z.literal(1),
  engineId: z.string().min(1),
  engineVersion: z.string().min(1),
  runtime: z.string(),
  driverVersion: z.int(),
  provedAt: z.iso.datetime(),
})

const NAME = 'engine-proof.json'

/** Where a driver with this state directory looks for its proof. */
export const proofPath = (stateDir: string): string => join(stateDir, NAME)

/** Whether this very engine, with this very driver, was proved here. An unreadable proof is none. */
export async function isProved(stateDir: string, engine: EngineIdentity): Promise<boolean> {
  const text = await readFile(proofPath(stateDir), 'utf8').catch(() => '')
  const proof = proofFile.safeParse(parse(text)).data
  return (
    proof !== undefined &&
    proof.engineId === engine.id &&
    proof.engineVersion === engine.version &&
    proof.runtime === engine.runtime &&
    proof.driverVersion === CONTAINER_DRIVER_VERSION
  )
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** Written by the contract suite alone, once all of it has passed. */
export async function recordProof(path: string, engine: EngineIdentity): Promise<void> {
  const proof: z.input<typeof proofFile> = {
    v: 1,
    engineId: engine.id,
    engineVersion: engine.version,
    runtime: engine.runtime,
    driverVersion: CONTAINER_DRIVER_VERSION,
    provedAt: new Date(systemClock.nowMs()).toISOString(),
  }
  const unfinished = `${path}.${randomName()}`
  await writeFile(unfinished, `${JSON.stringify(proof, null, 2)}\n`, { mode: 0o600 })
  await rename(unfinished, path)
}
