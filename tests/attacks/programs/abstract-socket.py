"""Connects to a socket of the machine that lies in no directory. Argument: its name."""
import socket

from attack import argument, verdict


def attack():
    socket.socket(socket.AF_UNIX).connect("\0" + argument())
    return True


verdict(attack)
