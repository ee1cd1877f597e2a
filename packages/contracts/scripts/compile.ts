import { writeFileSync } from 'node:fs'
import { compileSolidity, contracts } from './compileSolidity.ts'
import { renderArtifactJson, renderArtifactModule } from './renderArtifact.ts'

for (const contract of contracts) {
  const compilation = compileSolidity(contract)
  if (compilation.status === 'refused') {
    console.error(compilation.problems.join('\n'))
    process.exitCode = 1
    continue
  }
  const { artifact } = compilation
  const { contractName, module } = contract
  writeFileSync(new URL(`../artifacts/${contractName}.json`, import.meta.url), renderArtifactJson(artifact))
  writeFileSync(new URL(`../src/generated/${module}`, import.meta.url), renderArtifactModule(artifact))
  const codeBytes = (artifact.deployedBytecode.length - 2) / 2
  console.log(
    `${contractName}: ${codeBytes} bytes of code (the limit is 24576), solc ${artifact.compiler.version}`,
  )
}
