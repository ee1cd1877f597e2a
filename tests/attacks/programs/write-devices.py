"""Makes a file among the devices."""
import os

from attack import verdict


def attack():
    open("/dev/orien-attack", "w").close()
    os.remove("/dev/orien-attack")
    return True


verdict(attack)
