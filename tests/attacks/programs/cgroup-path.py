"""Learns in which group of the machine it runs. Argument: a word in the path of that group."""
from attack import argument, verdict


def attack():
    return argument() in open("/proc/self/cgroup").read()


verdict(attack)
