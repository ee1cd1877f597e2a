import { openAsBlob } from 'node:fs'
import { isWorkspacePath } from '@orien/protocol'
import type { Progress } from '@orien/sdk'
import type { AgentOptions, Handler, Shell } from '../commands/bind.ts'
import { interruptible } from '../commands/interrupt.ts'
import { layTable } from '../terminal/table.ts'
import { printable } from '../terminal/terminal.ts'
import { wrongUse } from '../terminal/wrongUse.ts'
import { connectAgent } from './connect.ts'
import { readSessionId } from './find.ts'
import { parseFile, saveFile } from './localFiles.ts'

const MEBIBYTE = 1_048_576

/** `orien session upload` */
export const uploadFiles: Handler<AgentOptions> = async (shell, options, [id = '', ...texts]) => {
  const sessionId = readSessionId(id)
  const files = await Promise.all(texts.map((text) => openLocal(parseFile(text))))
  const { orien } = await connectAgent(shell, options)
  const session = await orien.session(sessionId)
  const sent = await interruptible(async (signal) => {
    const all = []
    for (const { name, content } of files) {
      all.push(await session.upload(name, content, { signal, onProgress: follow(shell, name) }))
      shell.terminal.status(null)
    }
    return all
  })
  if (shell.terminal.isJson) shell.terminal.printJson({ items: sent })
  else for (const { name, sha256 } of sent) shell.terminal.print(`${sha256}  ${printable(name)}`)
  return 0
}

/** `orien session download` */
export const downloadFiles: Handler<AgentOptions & { out: string }> = async (
  shell,
  options,
  [id = '', ...names],
) => {
  const sessionId = readSessionId(id)
  for (const name of names)
    if (!isWorkspacePath(name)) throw wrongUse(`"${name}" cannot be the name of a file in the workspace`)
  const { orien } = await connectAgent(shell, options)
  const session = await orien.session(sessionId)
  const saved = await interruptible(async (signal) => {
    const paths: string[] = []
    for (const name of names) {
      const pieces = session.downloadPieces(name, { signal, onProgress: follow(shell, name) })
      paths.push(await saveFile(options.out, name, pieces))
      shell.terminal.status(null)
    }
    return paths
  })
  if (shell.terminal.isJson) shell.terminal.printJson({ saved })
  else for (const path of saved) shell.terminal.print(path)
  return 0
}

/** `orien session files` */
export const listFiles: Handler<AgentOptions> = async ({ terminal, ...shell }, options, [id = '']) => {
  const sessionId = readSessionId(id)
  const { orien } = await connectAgent({ terminal, ...shell }, options)
  const items = await (await orien.session(sessionId)).files()
  if (terminal.isJson) {
    terminal.printJson({ items })
    return 0
  }
  const { head, rows } = layTable(
    [
      { title: 'sha-256', align: 'left' },
      { title: 'bytes', align: 'right' },
      { title: 'name', align: 'left' },
    ],
    items.map(({ name, bytes, sha256 }) => [sha256 ?? 'not hashed', String(bytes), printable(name)]),
  )
  for (const line of [head, ...rows]) terminal.print(line)
  return 0
}

async function openLocal({ path, name }: { path: string; name: string }) {
  try {
    return { name, content: await openAsBlob(path) }
  } catch {
    throw wrongUse(`The file ${path} cannot be read`)
  }
}

/** Says how far a file is: every percent where the line is replaced, else every ten. */
function follow({ terminal }: Shell, name: string): (progress: Progress) => void {
  const step = terminal.isLive ? 1 : 10
  let told = -1
  return ({ doneBytes, bytes }) => {
    const percent = bytes === 0 ? 100 : Math.floor((doneBytes / bytes) * 100)
    if (Math.abs(percent - told) < step) return
    told = percent
    const [done, all] = [doneBytes, bytes].map((count) => (count / MEBIBYTE).toFixed(1))
    terminal.status(`${printable(name)} ${percent} % (${done} of ${all} MiB)`)
  }
}
