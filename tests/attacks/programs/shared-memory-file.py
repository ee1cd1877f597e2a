"""Reads a POSIX segment of the machine. Argument: its name."""
from attack import argument, verdict


def attack():
    return open("/dev/shm/" + argument()).read(1)


verdict(attack)
