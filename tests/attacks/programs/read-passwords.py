"""Reads the passwords of the machine."""
from attack import verdict


def attack():
    return open("/etc/shadow").read(1)


verdict(attack)
