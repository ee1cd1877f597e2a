import { systemRandom } from '../random.ts'
import { FIRST_SLOT_UID, SLOT_UIDS } from './limits.ts'

/** Where system programs lie; the environment of whoever started the node decides nothing here. */
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** A name that tells a tool nothing and that nobody has prepared; cgroup paths and mounts show inside a sandbox. */
export const randomName = (): string => Buffer.from(systemRandom.bytes(12)).toString('hex')

/** Unprivileged host uids in turn, from a random first one: two nodes on one machine rarely meet. */
export function createSlotUids(): () => number {
  let slot = Math.floor(systemRandom.fraction() * SLOT_UIDS)
  return () => {
    slot = (slot + 1) % SLOT_UIDS
    return FIRST_SLOT_UID + slot
  }
}
