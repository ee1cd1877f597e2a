"""Opens more files than it may. Argument: how many."""
import os
import resource

from attack import argument, verdict


def attack():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return [os.dup(0) for _ in range(int(argument()))]


verdict(attack)
