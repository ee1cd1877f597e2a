import type { Session } from '@orien/sdk'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Arena, openArena } from './api.ts'
import { buildPrograms } from './programs.ts'

let arena: Arena
let session: Session
beforeAll(async () => {
  arena = await openArena(await buildPrograms())
  session = await arena.openSession()
}, 120_000)
afterAll(() => arena.close())

const codeOf = (error: unknown) => (error as { code?: string }).code
const REFUSALS = ['workspace_path_refused', 'not_found', 'validation_failed']
/** What the host's own file would begin with. */
const HOST_TEXT = 'root:'

describe('names of files', () => {
  it.each([
    '/etc/passwd',
    '../../etc/passwd',
    'a/../../b',
    'a//b',
    '..',
    'a\0b',
    'a\nb',
    `${'n'.repeat(300)}`,
    `${'d/'.repeat(300)}x`,
    '%2e%2e/%2e%2e/etc/passwd',
    '..%2fetc%2fpasswd',
  ])('%j is neither read nor written', async (name) => {
    const read = await session.download(name).then(() => 'read', codeOf)
    expect(REFUSALS).toContain(read)
    const wrote = await session.upload(name, Buffer.from('x')).then(() => 'wrote', codeOf)
    expect([...REFUSALS, 'wrote']).toContain(wrote)
    if (wrote === 'wrote') expect((await session.files()).map((file) => file.name)).toContain(name)
  })

  it('that a tool made are listed only where they can be asked for, and what is no plain file never is', async () => {
    const own = await arena.openSession()
    const { stdout } = await arena.python(
      own,
      `
import os, socket
os.symlink('/etc/passwd', 'link'); os.symlink('/etc', 'directory'); os.symlink('link', 'chain'); os.symlink('/proc/self/root', 'root')
socket.socket(socket.AF_UNIX).bind('socket')
for name in ['new\\nline', '-rf', 'plain', '\\u202e', 'x' * 255, '$(id)']: open(name, 'w').write('own')
open(b'\\xff\\xfe', 'w').write('own')
path = '.'
for _ in range(100): path += '/d'; os.mkdir(path)
open(path + '/deep', 'w').write('own')
try: os.mkfifo('fifo'); print('fifo')
except OSError: print('no fifo')
`,
    )
    expect(stdout).toBe('no fifo\n')
    const names = (await own.files()).map(({ name }) => name)
    expect(names).toContain('plain')
    for (const name of names)
      expect(await own.download(name).then((bytes) => Buffer.from(bytes).toString())).toBe('own')
    for (const name of ['link', 'directory/passwd', 'chain', 'root/etc/passwd', 'socket', 'directory'])
      expect(REFUSALS).toContain(await own.download(name).then(() => 'read', codeOf))
    // An upload takes a link's place, and leaves alone what it led to.
    await own.upload('link', Buffer.from('mine'))
    expect(Buffer.from(await own.download('link')).toString()).toBe('mine')
    expect(REFUSALS).toContain(
      await own.upload('directory/orien-attack', Buffer.from('x')).then(() => 'wrote', codeOf),
    )
  })

  it('that change into links while they are read never lead out of the workspace', async () => {
    const own = await arena.openSession()
    await own.upload('plain/passwd', Buffer.from('own'))
    const run = await own.execute({
      tool: 'python',
      args: {
        code: `
import os
os.makedirs('spare', exist_ok=True); open('spare/passwd', 'w').write('own')
print('swapping', flush=True)
while not os.path.exists('go'):
    for make in (lambda: os.symlink('/etc/passwd', 'next'), lambda: open('next', 'w').write('own')):
        make(); os.replace('next', 'target')
    os.symlink('/etc', 'way'); os.rename('way', 'way2'); os.remove('way2')
    os.rename('spare', 'way2'); os.rename('way2', 'spare')
    os.rename('plain', 'aside'); os.symlink('/etc', 'plain'); os.remove('plain'); os.rename('aside', 'plain')
`,
      },
    })
    for await (const piece of run.logs()) if (piece.text.includes('swapping')) break
    const got: string[] = []
    for (let turn = 0; turn < 60; turn += 1)
      for (const name of ['target', 'plain/passwd'])
        got.push(
          await own.download(name).then(
            (bytes) => Buffer.from(bytes).toString(),
            (error: unknown) => codeOf(error) ?? 'none',
          ),
        )
    await own.upload('go', Buffer.from('1'))
    await run.wait()
    expect(got.filter((text) => text.includes(HOST_TEXT))).toEqual([])
    expect(got).toContain('own')
    expect(
      [...new Set(got)].filter(
        (text) => text !== 'own' && !REFUSALS.includes(text) && text !== 'digest_mismatch',
      ),
    ).toEqual([])
  })
})

describe('arguments', () => {
  const echo = async (args: Record<string, unknown>) => {
    const result = await session.run({ tool: 'echo', args })
    return JSON.parse(result.stdout ?? 'null') as string[]
  }

  it.each(['a\0b', '\ud800', 'x'.repeat(200_000)])(
    'that execve would cut or refuse are refused before: case %#',
    async (text) => {
      await expect(session.run({ tool: 'echo', args: { text } })).rejects.toMatchObject({
        code: expect.stringMatching(/validation_failed|payload_too_large/),
      })
    },
  )

  it('of three megabytes are refused, not passed on', async () => {
    const words = Array.from({ length: 30 }, () => 'x'.repeat(100_000))
    await expect(session.run({ tool: 'echo', args: { words } })).rejects.toMatchObject({
      code: expect.stringMatching(/validation_failed|payload_too_large/),
    })
  })

  const WRONG: Record<string, unknown>[] = [
    { extra: 'x' },
    { words: 'x' },
    { text: ['a', 'b'] },
    { text: { $ne: 1 } },
    { constructor: 'x' },
  ]
  it.each(WRONG.map((args) => ({ args })))(
    'of another kind than declared are refused: $args',
    async ({ args }) => {
      await expect(session.run({ tool: 'echo', args })).rejects.toMatchObject({ code: 'validation_failed' })
    },
  )

  const hostile = fc.oneof(
    fc.constantFrom(
      '-',
      '--',
      '-rf',
      '--named=x',
      '$(id);',
      '`id`|&&',
      ';id',
      '| sh',
      'a b',
      '\n-x',
      '*',
      '~',
      '',
      '../x',
      '%s',
      '\\',
      '"',
      "'",
    ),
    fc.string({ unit: 'grapheme', maxLength: 40 }),
  )

  it('arrive as one element each, whatever they hold: never an option, a second argument or a shell word', async () => {
    await fc.assert(
      fc.asyncProperty(
        hostile,
        fc.array(hostile, { minLength: 1, maxLength: 60 }),
        hostile,
        async (text, words, named) => {
          const given = { text, words, named }
          const seen = await echo(given).catch((error: unknown) => codeOf(error))
          if (seen === 'validation_failed')
            return expect([text, named, ...words].some((word) => word.includes('\0'))).toBe(true)
          expect(seen).toEqual([`--named=${named}`, '--', text, ...words])
        },
      ),
      { numRuns: 12 },
    )
  })
})
