import { writeFileSync } from 'node:fs'
import { compileSolidity } from './compileSolidity.ts'
import { renderArtifactJson, renderArtifactModule } from './renderArtifact.ts'

const compilation = compileSolidity('OrienEscrow')
if (compilation.status === 'refused') {
  console.error(compilation.problems.join('\n'))
  process.exitCode = 1
} else {
  const { artifact } = compilation
  writeFileSync(new URL('../artifacts/OrienEscrow.json', import.meta.url), renderArtifactJson(artifact))
  writeFileSync(new URL('../src/generated/orienEscrow.ts', import.meta.url), renderArtifactModule(artifact))
  const codeBytes = (artifact.deployedBytecode.length - 2) / 2
  console.log(
    `OrienEscrow: ${codeBytes} bytes of code (the limit is 24576), solc ${artifact.compiler.version}`,
  )
}
