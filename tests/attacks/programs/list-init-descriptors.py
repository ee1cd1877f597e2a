"""Lists the descriptors of the process that keeps the meter. Argument: its number."""
import os

from attack import argument, verdict


def attack():
    return os.listdir(f"/proc/{argument()}/fd")


verdict(attack)
