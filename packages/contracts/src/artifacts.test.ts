import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { compileSolidity, contracts } from '../scripts/compileSolidity.ts'
import { renderArtifactJson, renderArtifactModule } from '../scripts/renderArtifact.ts'

const committed = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')

test.each(contracts)(
  'compiling $contractName again gives the committed files byte for byte',
  (contract) => {
    const compilation = compileSolidity(contract)
    if (compilation.status === 'refused') return expect.fail(compilation.problems.join('\n'))
    const json = committed(`../artifacts/${contract.contractName}.json`)
    expect(renderArtifactJson(compilation.artifact)).toBe(json)
    expect(renderArtifactModule(compilation.artifact)).toBe(committed(`generated/${contract.module}`))
  },
  120_000,
)

test('the code fits the 24,576 bytes that EIP-170 allows', () => {
  const { deployedBytecode } = JSON.parse(committed('../artifacts/OrienEscrow.json'))
  expect((deployedBytecode.length - 2) / 2).toBeLessThanOrEqual(24_576)
})
