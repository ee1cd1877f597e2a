import { fileURLToPath } from 'node:url'
import { createContext, runInContext } from 'node:vm'
import { micros, type UsdcMicros } from '@orien/protocol'
import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'
import type * as sdk from './index.ts'
import { startCoordinatorStandIn } from './testing/coordinatorStandIn.ts'
import { agent } from './testing/orienFor.ts'
import { makeProvider } from './testing/providerStandIn.ts'

const provider = await makeProvider('anywhere')

/** What Node, Bun, Deno and browsers have in common, and nothing else: no process, no Buffer, no require. */
const COMMON = {
  fetch,
  crypto,
  performance,
  setTimeout,
  clearTimeout,
  TextEncoder,
  TextDecoder,
  atob,
  btoa,
  URL,
  URLSearchParams,
  AbortController,
  AbortSignal,
  Blob,
  Response,
  ReadableStream,
}

async function bundle() {
  const { outputFiles, metafile } = await build({
    entryPoints: [fileURLToPath(new URL('./index.ts', import.meta.url))],
    bundle: true,
    write: false,
    metafile: true,
    format: 'iife',
    globalName: 'sdk',
    platform: 'browser',
    target: 'es2022',
    // Loaded only when a chain is asked.
    external: ['viem'],
  })
  const [output] = Object.values(metafile.outputs)
  return { code: outputFiles[0]?.text ?? '', imports: output?.imports ?? [] }
}

describe('the SDK where there is only what browsers have', () => {
  it('is one file that imports nothing but, when a chain is asked, viem', async () => {
    const { imports } = await bundle()
    expect(new Set(imports.map(({ path, kind }) => `${kind} ${path}`))).toEqual(
      new Set(['dynamic-import viem']),
    )
  })

  it('opens a session, runs a tool, checks its receipt and ends', async () => {
    const { code } = await bundle()
    const context = createContext({ ...COMMON })
    const { Orien, verifyEd25519, publicKeyOfSeed, signWithSeed } = runInContext(
      `${code};sdk`,
      context,
    ) as typeof sdk
    expect(runInContext('typeof process + typeof Buffer + typeof require', context)).toBe(
      'undefined'.repeat(3),
    )

    await using standIn = await startCoordinatorStandIn(provider)
    const orien = new Orien({ baseUrl: standIn.url, account: agent })
    const budgetMicros: UsdcMicros = micros(1_000_000n)
    const { execution } = await orien.run({ tool: 'render_scene', budgetMicros, files: { 'a.txt': 'hello' } })
    expect(execution).toMatchObject({ status: 'completed', costMicros: 15_000n })
    expect(standIn.session().files.get('a.txt')?.toString()).toBe('hello')

    const seed = new Uint8Array(32).fill(1)
    const data = new TextEncoder().encode('without OpenSSL')
    expect(verifyEd25519(publicKeyOfSeed(seed), data, signWithSeed(seed)(data))).toBe(true)
  })
})
