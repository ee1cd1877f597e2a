/* Takes a descriptor of the process that keeps the meter: its channel to the node. Argument: its number. */
#include "attack.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  int pid = (int)syscall(SYS_pidfd_open, atoi(argv[1]), 0);
  return verdict(pid < 0 ? pid : syscall(SYS_pidfd_getfd, pid, 0, 0));
}
