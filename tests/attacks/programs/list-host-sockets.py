"""Finds a server of the machine in the list of sockets. Argument: its port."""
from attack import argument, verdict


def attack():
    return f":{int(argument()):04X} " in open("/proc/net/tcp").read()


verdict(attack)
