"""Raises a limit above what it was given."""
import resource

from attack import verdict


def attack():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 50, 1 << 50))
    return True


verdict(attack)
