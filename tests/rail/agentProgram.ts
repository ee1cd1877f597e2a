/**
 * An agent as a process of its own, for tests that kill it: one session and one long run in it, named by turns, so that
 * the program that is started again goes on with both.
 *
 *     node tests/rail/agentProgram.ts <coordinator> <key> <provider> <step>
 */
import { type Hex, type Id, micros } from '@orien/protocol'
import { Orien } from '@orien/sdk'
import { privateKeyToAccount } from 'viem/accounts'

const [baseUrl = '', key = '', providerId = '', step = ''] = process.argv.slice(2)
const orien = new Orien({ baseUrl, account: privateKeyToAccount(key as Hex) })
const session = await orien.openSession({
  ...{
    providerId: providerId as Id<'provider'>,
    budgetMicros: micros(1_000_000n),
    stepMicros: micros(BigInt(step)),
  },
  turnId: 'a mission',
})
const run = await session.execute({ tool: 'block', args: {}, turnId: 'its run' })
console.log(JSON.stringify({ sessionId: session.id, executionId: run.id }))
const { status, costMicros } = await run.wait()
console.log(JSON.stringify({ status, costMicros: costMicros.toString(), refusal: run.refusal?.message }))
