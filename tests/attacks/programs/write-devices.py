"""Makes a file among the devices."""
import os

from attack import verdict


def attack():
    path = f"/dev/orien-attack-{os.getpid()}"
    open(path, "w").close()
    os.remove(path)
    return True


verdict(attack)
