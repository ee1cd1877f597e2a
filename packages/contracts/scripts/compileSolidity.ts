import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

/** What is committed of a contract: enough to deploy it, to call it and to compile it again. */
export type Artifact = {
  contractName: string
  abi: unknown[]
  /** Creation code, `0x` + hex. */
  bytecode: string
  /** Run-time code before the immutables are filled in, `0x` + hex. */
  deployedBytecode: string
  compiler: { version: string; settings: typeof settings }
  /** SHA-256 of every source file that went in. */
  sources: Record<string, string>
}

/** Warnings about our own files refuse too; those about OpenZeppelin's are theirs. */
export type Compilation =
  | { status: 'compiled'; artifact: Artifact }
  | { status: 'refused'; problems: string[] }

type CompilerOutput = {
  errors?: { formattedMessage: string; sourceLocation?: { file: string } }[]
  contracts?: Record<
    string,
    Record<
      string,
      { abi: unknown[]; evm: { bytecode: { object: string }; deployedBytecode: { object: string } } }
    >
  >
}

type Solc = {
  version(): string
  compile(input: string, callbacks: { import(path: string): { contents: string } }): string
}

const require = createRequire(import.meta.url)
const solidityFolder = new URL('../solidity/', import.meta.url)

// Cancun is the oldest EVM that has what is used (transient storage, MCOPY), so it runs on the most chains.
// Without the metadata hash, an edited comment does not change the deployed code.
const settings = {
  viaIR: true,
  optimizer: { enabled: true, runs: 10_000 },
  evmVersion: 'cancun',
  metadata: { bytecodeHash: 'none' },
  outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
} as const

/** What is compiled: the path below `solidity/`, and where the TypeScript goes. */
export const contracts = [
  { contractName: 'OrienEscrow', path: 'OrienEscrow.sol', module: 'orienEscrow.ts' },
  { contractName: 'HostileToken', path: 'testing/HostileToken.sol', module: 'hostileToken.ts' },
  { contractName: 'Crowd', path: 'testing/Crowd.sol', module: 'crowd.ts' },
] as const

/**
 * Compiles one contract with the pinned npm `solc`, from files of this package and of
 * `@openzeppelin/contracts` alone. Takes 10 to 30 s.
 */
export function compileSolidity({ contractName, path: root }: (typeof contracts)[number]): Compilation {
  const solc = require('solc') as Solc
  const sources = new Map<string, string>()
  const load = (path: string) => {
    const contents = readSource(path)
    sources.set(path, createHash('sha256').update(contents).digest('hex'))
    return { contents }
  }
  const input = { language: 'Solidity', sources: { [root]: { content: load(root).contents } }, settings }
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: load })) as CompilerOutput
  const problems = (output.errors ?? []).filter((error) => !isPackaged(error.sourceLocation?.file ?? ''))
  const contract = output.contracts?.[root]?.[contractName]
  if (problems.length > 0 || contract === undefined) {
    return { status: 'refused', problems: problems.map((problem) => problem.formattedMessage) }
  }
  const artifact: Artifact = {
    contractName,
    abi: contract.abi,
    bytecode: `0x${contract.evm.bytecode.object}`,
    deployedBytecode: `0x${contract.evm.deployedBytecode.object}`,
    compiler: { version: solc.version(), settings },
    sources: Object.fromEntries([...sources].sort(([a], [b]) => (a < b ? -1 : 1))),
  }
  return { status: 'compiled', artifact }
}

function isPackaged(path: string): boolean {
  return path.startsWith('@openzeppelin/')
}

function readSource(path: string): string {
  const file = isPackaged(path) ? require.resolve(path) : fileURLToPath(new URL(path, solidityFolder))
  return readFileSync(file, 'utf8')
}
