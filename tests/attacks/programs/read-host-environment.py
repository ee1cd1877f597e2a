"""Reads the environment of a process of the machine. Argument: its number."""
from attack import argument, verdict


def attack():
    return "ORIEN" in open(f"/proc/{argument()}/environ").read()


verdict(attack)
