import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { createKeyFile, openKeyFile, readKeyFile } from './keyFile.ts'
import { parseFile, saveFile } from './localFiles.ts'

const dir = mkdtempSync(join(tmpdir(), 'orien-files-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

async function* bytes(...pieces: string[]) {
  for (const piece of pieces) yield Buffer.from(piece)
}

describe('local[:name]', () => {
  const nothingThere = () => false

  test('takes its own name unless another is given', () => {
    expect(parseFile('scenes/a.json', nothingThere)).toEqual({ path: 'scenes/a.json', name: 'a.json' })
    expect(parseFile('a.json:in/b.json', nothingThere)).toEqual({ path: 'a.json', name: 'in/b.json' })
  })

  test('a colon belongs to the name of a file that is there', () => {
    expect(parseFile('a:b', () => true)).toEqual({ path: 'a:b', name: 'a:b' })
  })

  test.each(['a:../b', 'a:/etc/passwd', 'a:-rf', 'a:', 'a:b/../c'])('%s is refused', (text) => {
    expect(() => parseFile(text, nothingThere)).toThrow(/cannot be the name of a file in the workspace/)
  })
})

describe('a file of a provider', () => {
  test('is saved under its name, folders and all', async () => {
    const path = await saveFile(dir, 'dist/main.js', bytes('export ', 'const a = 1'))
    expect([path, readFileSync(path, 'utf8')]).toEqual([join(dir, 'dist/main.js'), 'export const a = 1'])
  })

  test.each(['../out', '/etc/x', 'a/../../b', '', '.', 'a\u0000b'])(
    'never leaves the directory: %j',
    async (name) => {
      await expect(saveFile(dir, name, bytes('x'))).rejects.toThrow(/no name for one/)
    },
  )

  test('that breaks off on its way leaves nothing behind, and the earlier one in its place', async () => {
    const broken = async function* () {
      yield Buffer.from('half')
      throw new TypeError('cut off')
    }
    const into = join(dir, 'broken')
    await saveFile(into, 'a.txt', bytes('whole'))
    await expect(saveFile(into, 'a.txt', broken())).rejects.toThrow('cut off')
    expect([readdirSync(into), readFileSync(join(into, 'a.txt'), 'utf8')]).toEqual([['a.txt'], 'whole'])
  })
})

describe("a wallet's key file", () => {
  const key = `0x${'ab'.repeat(32)}` as const
  const other = `0x${'cd'.repeat(32)}` as const

  test('is made once, for its owner alone, and then kept', async () => {
    const path = join(dir, 'new', 'agent.key')
    expect(await openKeyFile(path, () => key)).toEqual({ privateKey: key, isNew: true })
    expect(await openKeyFile(path, () => other)).toEqual({ privateKey: key, isNew: false })
    expect([statSync(path).mode & 0o777, statSync(join(dir, 'new')).mode & 0o777]).toEqual([0o600, 0o700])
    expect(readdirSync(join(dir, 'new'))).toEqual(['agent.key'])
  })

  test('is the same for all who make it at once', async () => {
    const path = join(dir, 'raced.key')
    const made = await Promise.all(
      [key, other].map((each) => createKeyFile(path, () => each).catch(() => false)),
    )
    expect(made.filter(Boolean)).toHaveLength(1)
    expect([key, other]).toContain(await readKeyFile(path))
  })

  test('that others may read is refused', async () => {
    const path = join(dir, 'open.key')
    writeFileSync(path, key, { mode: 0o644 })
    await expect(readKeyFile(path)).rejects.toMatchObject({
      code: 'setup_failed',
      facts: { hint: `chmod 600 ${path}` },
    })
  })

  test('that holds no key is refused, and is not quoted', async () => {
    const path = join(dir, 'wrong.key')
    writeFileSync(path, 'secret words', { mode: 0o600 })
    await expect(readKeyFile(path)).rejects.toThrow(expect.not.stringContaining('secret words'))
  })
})
