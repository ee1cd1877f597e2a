"""Reads a file of another session. Argument: its path on the machine."""
from attack import argument, verdict


def attack():
    return open(argument()).read(1)


verdict(attack)
