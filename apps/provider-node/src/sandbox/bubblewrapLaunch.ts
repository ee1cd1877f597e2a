import { runtimePaths, type SandboxShape } from './arguments.ts'
import type { RunContext, SlotContext } from './context.ts'
import type { SandboxProcess } from './sandboxProcess.ts'

async function launch(context: RunContext, shape: SandboxShape): Promise<SandboxProcess> {
  const { reach, layout, bwrapPath, files, spawner, optionsOf } = context
  const uid = context.uidFor(shape.workspaceDir)
  const workspace = await reach.show(shape.workspaceDir)
  const runtime = await Promise.all(
    runtimePaths(shape, layout).map(async (path) => ({ path, source: await reach.show(path) })),
  )
  const options = optionsOf(shape, workspace, runtime, layout)
  return spawner.launch({ bwrapPath, options, files, ...(uid === undefined ? {} : { uid }) })
}

/** How the pool makes sandboxes of bubblewrap. */
export const slotsOf = (context: RunContext): SlotContext => ({
  launch: (shape) => launch(context, shape),
  requestOf: context.requestOf,
  letGo: (workspaceDir) => context.reach.drop(workspaceDir),
  ...(context.cgroups ? { cgroups: context.cgroups } : {}),
})
