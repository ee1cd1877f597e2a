"""Fills /dev/shm beyond its share. Argument: with how many MiB."""
import os

from attack import argument, verdict


def attack():
    path = f"/dev/shm/orien-attack-{os.getpid()}"
    try:
        with open(path, "wb", buffering=0) as file:
            return all(file.write(bytes(1 << 20)) == 1 << 20 for _ in range(int(argument())))
    finally:
        os.remove(path)


verdict(attack)
