"""Learns where on the machine its workspace lies. Argument: a word in that path."""
from attack import argument, verdict


def attack():
    return argument() in open("/proc/self/mountinfo").read()


verdict(attack)
