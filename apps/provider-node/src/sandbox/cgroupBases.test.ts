import { describe, expect, it } from 'vitest'
import { findHierarchies } from './cgroupBases.ts'

const V1_MOUNTS = `sysfs /sys sysfs rw 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0`

describe('the node’s own place among the cgroups', () => {
  it('is found in each hierarchy of a hybrid machine', () => {
    expect(findHierarchies('4:memory:/node\n1:cpu,cpuacct:/\n0::/user', V1_MOUNTS)).toEqual([
      {
        version: 1,
        controllers: ['memory'],
        rootDir: '/sys/fs/cgroup/memory',
        ownDir: '/sys/fs/cgroup/memory/node',
      },
      {
        version: 1,
        controllers: ['cpu', 'cpuacct'],
        rootDir: '/sys/fs/cgroup/cpu,cpuacct',
        ownDir: '/sys/fs/cgroup/cpu,cpuacct/',
      },
      {
        version: 2,
        controllers: [],
        rootDir: '/sys/fs/cgroup/unified',
        ownDir: '/sys/fs/cgroup/unified/user',
      },
    ])
  })

  it('is found where there is version 2 alone, with a colon in its name', () => {
    expect(
      findHierarchies('0::/system.slice/a:b.service\n', 'cgroup2 /sys/fs/cgroup cgroup2 rw 0 0'),
    ).toEqual([
      {
        version: 2,
        controllers: [],
        rootDir: '/sys/fs/cgroup',
        ownDir: '/sys/fs/cgroup/system.slice/a:b.service',
      },
    ])
  })

  it('is nowhere when nothing is mounted', () => {
    expect(findHierarchies('4:memory:/\n0::/\n', '')).toEqual([])
  })
})
