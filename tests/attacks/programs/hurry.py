"""Gives itself a priority above everybody's."""
import os

from attack import verdict


def attack():
    os.nice(-5)
    return True


verdict(attack)
