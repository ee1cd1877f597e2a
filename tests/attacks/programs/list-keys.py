"""Lists keys, those of other sessions included."""
from attack import verdict


def attack():
    return "keyring" in open("/proc/keys").read()


verdict(attack)
