"""Connects to a server of the network. Argument: address and port."""
import socket

from attack import argument, verdict


def attack():
    host, port = argument().rsplit(":", 1)
    return socket.create_connection((host, int(port)), 2)


verdict(attack)
