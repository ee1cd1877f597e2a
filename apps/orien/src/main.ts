// Node calls SQLite, which holds our locks, experimental: nothing that a person at this command could act on.
process.removeAllListeners('warning')
const { reportCrash, runCommand } = await import('./commands/program.ts')
process.on('uncaughtException', (error) => void reportCrash(error).finally(() => process.exit(1)))
// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', () => process.exit(0))
// Not left to itself: a kept-alive connection would hold the command open for seconds.
process.exit(await runCommand(process.argv.slice(2)))
