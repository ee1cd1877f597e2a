import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import {
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { clearWorkspaces, openWorkspaces, type SessionWorkspaces } from './workspaces.ts'

const execute = promisify(execFile)
const MEBIBYTE = 1_048_576
const SECRET = 'host secret'

const read = async (workspaces: SessionWorkspaces, session: string, name: string): Promise<Buffer> => {
  const { stream } = await workspaces.read(session, name)
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts)
}

const write = async (workspaces: SessionWorkspaces, session: string, name: string, bytes: Uint8Array) => {
  const upload = await workspaces.write(session, name, bytes.length)
  await upload.write(bytes)
  await upload.commit()
}

describe.each([
  { name: 'on a tmpfs', useMounts: true, workspaceClass: 'tmpfs' },
  { name: 'in a plain directory', useMounts: false, workspaceClass: 'directory' },
] as const)('a workspace $name', ({ useMounts, workspaceClass }) => {
  let root: string
  let outside: string
  let workspaces: SessionWorkspaces
  let dir: string
  const options = () => ({
    rootDir: join(root, 'workspaces'),
    sizeBytes: 4 * MEBIBYTE,
    maxFiles: 100,
    useMounts,
  })

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'orien-workspaces-'))
    outside = join(root, 'outside')
    await mkdir(outside)
    await writeFile(join(outside, 'secret'), SECRET)
    workspaces = await openWorkspaces(options())
    dir = await workspaces.open('ses_1')
  })
  afterEach(async () => {
    await workspaces.close()
    await rm(root, { recursive: true })
  })

  it('has the class that it was asked for, a directory of its own, and an owner that is not root', async () => {
    expect(workspaces.workspaceClass).toBe(workspaceClass)
    expect(await workspaces.open('ses_2')).not.toBe(dir)
    expect(await workspaces.open('ses_1')).toBe(dir)
    const [one, two] = await Promise.all([lstat(dir), lstat(await workspaces.open('ses_2'))])
    expect(one.uid).toBeGreaterThan(0)
    expect(two.uid).not.toBe(one.uid)
    expect(one.mode & 0o777).toBe(0o700)
  })

  it('gives back what was written, in folders too, and tells it changed when it did', async () => {
    const bytes = randomBytes(200_000)
    await write(workspaces, 'ses_1', 'scenes/room/a b.bin', bytes)
    expect(
      createHash('sha256')
        .update(await read(workspaces, 'ses_1', 'scenes/room/a b.bin'))
        .digest('hex'),
    ).toBe(createHash('sha256').update(bytes).digest('hex'))
    const [before] = await workspaces.list('ses_1')
    expect(before).toMatchObject({ name: 'scenes/room/a b.bin', bytes: 200_000 })
    await write(workspaces, 'ses_1', 'scenes/room/a b.bin', bytes)
    const [after] = await workspaces.list('ses_1')
    expect(after?.stamp).not.toBe(before?.stamp)
    const owner = await lstat(join(dir, 'scenes', 'room'))
    expect(owner.uid).toBe((await lstat(dir)).uid)
  })

  it('reads an empty file as empty', async () => {
    await write(workspaces, 'ses_1', 'empty', new Uint8Array())
    expect((await read(workspaces, 'ses_1', 'empty')).length).toBe(0)
  })

  it('shows nothing of an upload before its commit and nothing after its abort', async () => {
    const upload = await workspaces.write('ses_1', 'half', 10)
    await upload.write(Buffer.from('half'))
    expect(await workspaces.list('ses_1')).toEqual([])
    await upload.abort()
    expect(await readdir(dir)).toEqual([])
    await expect(read(workspaces, 'ses_1', 'half')).rejects.toMatchObject({ code: 'not_found' })
  })

  it.each([
    ['a name above the workspace', '../outside/secret'],
    ['a name above in the middle', 'a/../../outside/secret'],
    ['an absolute name', '/etc/hostname'],
    ['an empty name', ''],
    ['a dot', '.'],
    ['an empty part', 'a//b'],
    ['NUL', 'a\0b'],
    ['a lone surrogate', 'a\ud800'],
    ['a part over 255 bytes', 'ü'.repeat(200)],
    ['a huge name', 'x/'.repeat(400)],
    ['a leading dash', '-rf'],
  ])('refuses %s for reading and for writing', async (_, name) => {
    await expect(read(workspaces, 'ses_1', name)).rejects.toMatchObject({ code: 'workspace_path_refused' })
    await expect(workspaces.write('ses_1', name, 1)).rejects.toMatchObject({ code: 'workspace_path_refused' })
    expect(await readdir(dir)).toEqual([])
  })

  it('never follows a link for reading, though a plain read would', async () => {
    await symlink(join(outside, 'secret'), join(dir, 'file'))
    await symlink(outside, join(dir, 'folder'))
    // The control: where the mount itself does not refuse, following by name does reveal the secret.
    const followed = await readFile(join(dir, 'folder', 'secret'), 'utf8').catch((error) => error.code)
    expect(followed).toBe(workspaceClass === 'tmpfs' ? 'ELOOP' : SECRET)
    for (const name of ['file', 'folder/secret'])
      await expect(read(workspaces, 'ses_1', name)).rejects.toMatchObject({ code: 'workspace_path_refused' })
    expect(await workspaces.list('ses_1')).toEqual([])
  })

  it('replaces a link instead of writing through it, and does not write through a linked folder', async () => {
    await symlink(join(outside, 'secret'), join(dir, 'file'))
    await symlink(outside, join(dir, 'folder'))
    await write(workspaces, 'ses_1', 'file', Buffer.from('mine'))
    await expect(workspaces.write('ses_1', 'folder/new', 1)).rejects.toMatchObject({
      code: 'workspace_path_refused',
    })
    await expect(workspaces.write('ses_1', 'folder/a/new', 1)).rejects.toMatchObject({
      code: 'workspace_path_refused',
    })
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe(SECRET)
    expect(await readdir(outside)).toEqual(['secret'])
    expect((await read(workspaces, 'ses_1', 'file')).toString()).toBe('mine')
  })

  it('never reveals a file outside while a folder and a link change places under it', async () => {
    await mkdir(join(dir, 'real'))
    await writeFile(join(dir, 'real', 'secret'), 'harmless')
    await symlink(outside, join(dir, 'link'))
    await rename(join(dir, 'real'), join(dir, 'target'))
    let swaps = 0
    let isDone = false
    const swapper = (async () => {
      while (!isDone) {
        await rename(join(dir, 'target'), join(dir, 'real'))
        await rename(join(dir, 'link'), join(dir, 'target'))
        await rename(join(dir, 'target'), join(dir, 'link'))
        await rename(join(dir, 'real'), join(dir, 'target'))
        swaps += 1
      }
    })()
    const seen = new Set<string>()
    for (let attempt = 0; attempt < 600; attempt += 1) {
      const text = await read(workspaces, 'ses_1', 'target/secret').catch((error) => error.code)
      seen.add(String(text))
      await workspaces.list('ses_1')
    }
    isDone = true
    await swapper
    expect(swaps).toBeGreaterThan(10)
    expect(seen).not.toContain(SECRET)
    expect([...seen].every((one) => ['harmless', 'workspace_path_refused', 'not_found'].includes(one))).toBe(
      true,
    )
  })

  it('refuses FIFOs, sockets and devices without waiting for them', async () => {
    await execute('mkfifo', [join(dir, 'fifo')])
    await execute('mknod', [join(dir, 'zero'), 'c', '1', '5'])
    const server = createServer().listen(join(dir, 'socket'))
    for (const name of ['fifo', 'zero', 'socket'])
      await expect(read(workspaces, 'ses_1', name)).rejects.toMatchObject({ code: 'workspace_path_refused' })
    expect(await workspaces.list('ses_1')).toEqual([])
    server.close()
  })

  it('goes on with the file that was opened when a link takes its name', async () => {
    await write(workspaces, 'ses_1', 'file', Buffer.alloc(300_000, 'a'))
    const { stream } = await workspaces.read('ses_1', 'file')
    await unlink(join(dir, 'file'))
    await symlink(join(outside, 'secret'), join(dir, 'file'))
    const hash = createHash('sha256')
    for await (const part of stream) hash.update(part)
    expect(hash.digest('hex')).toBe(createHash('sha256').update(Buffer.alloc(300_000, 'a')).digest('hex'))
  })

  it('leaves names out of the list that nobody could ask for', async () => {
    await writeFile(join(dir, 'good'), '')
    for (const name of ['-dash', 'back\\slash', 'line\nbreak']) await writeFile(join(dir, name), '')
    await writeFile(Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0xfe])]), '')
    await link(join(dir, 'good'), join(dir, 'good-too'))
    expect(
      (await workspaces.list('ses_1'))
        .map(({ name }) => name)
        .filter((name) => !name.includes('�'))
        .sort(),
    ).toEqual(['good', 'good-too'])
  })

  it('takes no more than it may hold', async () => {
    await expect(workspaces.write('ses_1', 'big', 5 * MEBIBYTE)).rejects.toMatchObject({
      code: 'workspace_full',
    })
    await write(workspaces, 'ses_1', 'three', Buffer.alloc(3 * MEBIBYTE))
    await expect(workspaces.write('ses_1', 'two', 2 * MEBIBYTE)).rejects.toMatchObject({
      code: 'workspace_full',
    })
    const upload = await workspaces.write('ses_1', 'liar', 10)
    await expect(upload.write(Buffer.alloc(11))).rejects.toMatchObject({ code: 'workspace_full' })
    await upload.abort()
    expect((await workspaces.usage('ses_1')).bytes).toBeGreaterThanOrEqual(3 * MEBIBYTE)
  })

  it('is gone after its session, whatever lies in it', async () => {
    await mkdir(join(dir, 'closed', 'deep'), { recursive: true })
    await writeFile(join(dir, 'closed', 'deep', 'file'), 'x')
    await symlink(outside, join(dir, 'link'))
    await chmod(join(dir, 'closed'), 0)
    await workspaces.destroy('ses_1')
    await workspaces.destroy('ses_1')
    expect(existsSync(dir)).toBe(false)
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe(SECRET)
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(dir)
  })

  it('that a killed node left is removed at the next start', async () => {
    await write(workspaces, 'ses_1', 'left', Buffer.from('over'))
    const next = await openWorkspaces(options())
    expect(await readdir(options().rootDir)).toEqual([])
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(root)
    await next.close()
    workspaces = await openWorkspaces(options())
  })

  it('that a killed node left goes on for its session, with its files, bounds and owner, and no half upload', async () => {
    await write(workspaces, 'ses_1', 'deep/left', Buffer.from('over'))
    const half = await workspaces.write('ses_1', 'deep/half', 2 * MEBIBYTE)
    await half.write(Buffer.alloc(2 * MEBIBYTE))
    const over = await workspaces.open('ses_2')
    const next = await openWorkspaces({ ...options(), goesOn: (session) => session === 'ses_1' })
    expect(next.kept).toEqual(['ses_1'])
    expect(await next.open('ses_1')).toBe(dir)
    expect(String(await read(next, 'ses_1', 'deep/left'))).toBe('over')
    expect(await readdir(join(dir, 'deep'))).toEqual(['left'])
    expect(existsSync(over)).toBe(false)
    await expect(next.write('ses_1', 'large', 5 * MEBIBYTE)).rejects.toMatchObject({ code: 'workspace_full' })
    await (await next.write('ses_1', 'fits', MEBIBYTE)).abort()
    expect((await stat(await next.open('ses_3'))).uid === (await stat(dir)).uid).toBe(
      process.getuid?.() !== 0,
    )
    await next.close()
    expect((await readdir(options().rootDir)).sort()).toEqual([basename(dir), `${basename(dir)}.json`].sort())
    await half.abort()
    workspaces = await openWorkspaces(options())
  })

  it('is left to the next node by one that ends in order, if its session goes on, and cleared away on request', async () => {
    await write(workspaces, 'ses_1', 'left', Buffer.from('mine'))
    const goesOn = (session: string) => session === 'ses_1'
    const first = await openWorkspaces({ ...options(), goesOn })
    await write(first, 'ses_2', 'over', Buffer.from('gone'))
    await first.close()
    const second = await openWorkspaces({ ...options(), goesOn })
    expect(second.kept).toEqual(['ses_1'])
    expect(String(await read(second, 'ses_1', 'left'))).toBe('mine')
    await second.close()
    await clearWorkspaces(options().rootDir)
    expect(await readdir(options().rootDir)).toEqual([])
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(root)
    await clearWorkspaces(join(root, 'never made'))
    workspaces = await openWorkspaces(options())
  })

  it.each(['not JSON', '{"v":1,"sessionId":"ses_1","sizeBytes":1}', '{}'])(
    'whose record says %j belongs to nobody, and is removed',
    async (text) => {
      await writeFile(`${dir}.json`, text)
      const next = await openWorkspaces({ ...options(), goesOn: () => true })
      expect(next.kept).toEqual([])
      expect(await readdir(options().rootDir)).toEqual([])
      await next.close()
      workspaces = await openWorkspaces(options())
    },
  )
})
