"""Finds a process of the machine by a word in its command line. Argument: the word."""
import os

from attack import argument, verdict


def attack():
    own = os.getpid()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(pid) != own and argument() in open(f"/proc/{pid}/cmdline").read().split("\0"):
                return True
        except OSError:
            pass


verdict(attack)
