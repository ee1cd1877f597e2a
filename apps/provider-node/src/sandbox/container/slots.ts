import { createHash } from 'node:crypto'
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { OrienError } from '@orien/protocol'
import type { SlotContext } from '../context.ts'
import { readLayout } from '../layout.ts'
import { buildHelper } from '../native.ts'
import { requestOf } from '../request.ts'
import { writeFiles } from '../setUp.ts'
import { createSlots } from '../slotUids.ts'
import { ensureImage, openEngine, sweepContainers } from './engine.ts'
import { createGroupBelow } from './groupBelow.ts'
import { launchContainer } from './launch.ts'

/** Counted by the group alone: the kernel counts a user's processes across all containers. */
const UNCOUNTED = 0

/**
 * Finds the engine, removes what a killed node left with it, and says how containers are made.
 *
 * @throws OrienError `sandbox_unavailable`
 */
export async function openContainers(stateDir: string, socketPath: string): Promise<SlotContext> {
  const engine = await openEngine(socketPath)
  const isRoot = process.getuid?.() === 0
  if (!isRoot && !engine.isRootless)
    throw new OrienError('sandbox_unavailable', 'the engine is root’s and the node is not')
  await mkdir(stateDir, { recursive: true, mode: 0o711 })
  const files = await writeFiles(stateDir)
  const helper = await buildHelper(join(stateDir, 'native'), 'orien-init')
  // The container's user reads it, whoever that is.
  await chmod(files.seccomp, 0o644)
  const label = createHash('sha256').update(stateDir).digest('hex').slice(0, 32)
  await sweepContainers(engine, label)
  const image = await ensureImage(engine)
  const uidFor = createSlots()
  const context = {
    engine,
    setting: {
      ...{ image, label, layout: readLayout(), files: { ...files, helper: helper.path } },
      isRootless: engine.isRootless,
    },
    doorsDir: join(stateDir, 'doors'),
    userFor: (workspaceDir: string) => uidFor(workspaceDir) ?? process.getuid?.() ?? 0,
  }
  return {
    launch: (shape) => launchContainer(context, shape),
    requestOf: (...of) => ({ ...requestOf(...of), processes: UNCOUNTED }),
    cgroups: { create: createGroupBelow, canRebase: false },
    letGo: async () => {},
  }
}
