import { describe } from 'vitest'
import { describeConfinement } from './contract/confinement.contract.ts'
import { describeLifecycle } from './contract/lifecycle.contract.ts'
import { describeStops } from './contract/stops.contract.ts'
import { describeStreams } from './contract/streams.contract.ts'
import type { Subject } from './contract/subject.contract.ts'

/** Everything that the port of sandboxes promises. Each driver's test file runs it; strangers meet no other driver. */
export function describeDriver(title: string, subject: Subject): void {
  describe(title, () => {
    describe('streams', () => describeStreams(subject))
    describe('stops', () => describeStops(subject))
    describe('lifecycle', () => describeLifecycle(subject))
    if (subject.confines) describe('confinement', () => describeConfinement(subject))
  })
}
