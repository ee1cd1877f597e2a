import { expect, test } from 'vitest'
import { startStack } from '../harness/stack.ts'

test('a coordinator that is stopped twice, at once or later, has one end', async () => {
  const stack = await startStack()
  const { coordinator } = stack
  await Promise.all([coordinator.stop(), coordinator.stop()])
  await coordinator.stop()
  await expect(fetch(`${stack.url}/api/health`)).rejects.toThrow()
  await stack.stop()
})
