"""Every attack ends with 0 when it came through and with 1 when it was stopped, as the ones in C do."""
import sys


def argument():
    return sys.argv[1]


def verdict(attack):
    try:
        came_through = attack()
    except (OSError, MemoryError, ValueError) as error:
        came_through = False
        print("stopped:", type(error).__name__, getattr(error, "strerror", ""), file=sys.stderr)
    sys.exit(0 if came_through else 1)
