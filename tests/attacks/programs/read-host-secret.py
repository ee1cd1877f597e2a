"""Reads a file of the machine that everybody may read. Argument: its path."""
from attack import argument, verdict


def attack():
    return open(argument()).read(1)


verdict(attack)
