import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { compileSolidity } from '../scripts/compileSolidity.ts'
import { renderArtifactJson, renderArtifactModule } from '../scripts/renderArtifact.ts'

const committed = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')

test('compiling the Solidity again gives the committed artifact and module byte for byte', () => {
  const compilation = compileSolidity('OrienEscrow')
  if (compilation.status === 'refused') return expect.fail(compilation.problems.join('\n'))
  expect(renderArtifactJson(compilation.artifact)).toBe(committed('../artifacts/OrienEscrow.json'))
  expect(renderArtifactModule(compilation.artifact)).toBe(committed('generated/orienEscrow.ts'))
}, 120_000)

test('the code fits the 24,576 bytes that EIP-170 allows', () => {
  const { deployedBytecode } = JSON.parse(committed('../artifacts/OrienEscrow.json'))
  expect((deployedBytecode.length - 2) / 2).toBeLessThanOrEqual(24_576)
})
