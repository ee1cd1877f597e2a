/**
 * An agent with a budget: rents a tool, pays for the time it took, and believes nobody what that cost.
 *
 *     node examples/agent/agent.ts <coordinator> <endpoint of the chain> <file with the wallet's key>
 */
import { readFile } from 'node:fs/promises'
import { formatUsdc, invariant, micros } from '@orien/protocol'
import { Orien, verifyBillText } from '@orien/sdk'
import { privateKeyToAccount } from 'viem/accounts'

const [baseUrl = '', rpcUrl = '', keyFile = ''] = process.argv.slice(2)
const key = (await readFile(keyFile, 'utf8')).trim() as `0x${string}`

const orien = new Orien({
  baseUrl,
  rpcUrl,
  account: privateKeyToAccount(key),
  // Where neither a model nor a coordinator lifts it.
  policy: { maxPerSessionMicros: micros(500_000n) },
})

const [provider] = await orien.providers({ tool: 'execute_script', online: true })
invariant(provider, 'a provider that offers execute_script is online')
const session = await orien.openSession({ providerId: provider.id, budgetMicros: micros(300_000n) })

const primes = 'print(sum(1 for n in range(2, 20000) if all(n % d for d in range(2, int(n ** 0.5) + 1))))'
for (const code of [primes, 'open("note.txt", "w").write("done")']) {
  const run = await session.run({
    tool: 'execute_script',
    args: { language: 'python', code },
    // What this one call may cost; it is stopped there, not billed above it.
    maxCostMicros: micros(100_000n),
  })
  const { status, effectiveMs, costMicros, stdout = '' } = run
  console.log(`${status} in ${effectiveMs} ms for ${formatUsdc(costMicros)} USDC: ${stdout.trim()}`)
}

await session.end()
const { consumedMicros, settlement } = await session.settled()
const { verdict, failure } = await verifyBillText(await session.bill(), { rpcUrl })
invariant(verdict === 'verified', `the bill is ${verdict}: ${failure?.line} ${failure?.detail}`)
invariant(settlement?.refundedMicros === 300_000n - consumedMicros, 'what was not spent came back')
console.log(`paid ${formatUsdc(consumedMicros)} USDC; the bill is ${verdict}`)
