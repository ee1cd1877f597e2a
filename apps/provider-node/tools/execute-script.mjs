/**
 * Runs a program that arrives on standard input: `execute-script.mjs LANGUAGE [--stdin=TEXT] -- ARGS…`.
 * The program then finds TEXT on standard input and ARGS as its arguments, as if it had been started by name.
 */
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import Module from 'node:module'

const PYTHONS = ['/usr/bin/python3', '/usr/local/bin/python3']
const NOT_FOUND = 127

const [language, ...rest] = process.argv.slice(2)
const options = rest.slice(0, rest.indexOf('--'))
const args = rest.slice(rest.indexOf('--') + 1)
const input = options.find((option) => option.startsWith('--stdin='))?.slice('--stdin='.length) ?? ''

const script = `/tmp/script.${language === 'python' ? 'py' : 'js'}`
writeFileSync(script, readFileSync(0))

// The lowest free descriptor is the one that the next open gets: a real standard input, whoever reads it and however.
writeFileSync('/tmp/stdin', input)
closeSync(0)
openSync('/tmp/stdin', 'r')

if (language === 'python') {
  const python = PYTHONS.find((path) => existsSync(path))
  if (python === undefined) {
    process.stderr.write('Python is not installed on this machine.\n')
    process.exit(NOT_FOUND)
  }
  process.execve(python, ['python3', script, ...args], process.env)
}
process.argv = [process.execPath, script, ...args]
Module.runMain()
