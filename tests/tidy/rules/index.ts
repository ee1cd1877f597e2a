import type { Rule } from '../rule.ts'
import { docstrings } from './docstrings.ts'
import { bareThrow, silencedTypes, unfinishedWork } from './errors.ts'
import { moneyIsNoNumber } from './money.ts'
import { emptyNames } from './names.ts'
import { lockfileHosts, machinePaths, registryHosts } from './places.ts'
import { fileLength, functionLength } from './size.ts'
import { chance, clock, environment } from './sources.ts'
import { sqlOnlyInStores } from './sql.ts'
import { honestTests } from './tests.ts'

export const rules: readonly Rule[] = [
  fileLength,
  functionLength,
  emptyNames,
  bareThrow,
  silencedTypes,
  unfinishedWork,
  environment,
  clock,
  chance,
  sqlOnlyInStores,
  moneyIsNoNumber,
  docstrings,
  honestTests,
  machinePaths,
  registryHosts,
  lockfileHosts,
]
