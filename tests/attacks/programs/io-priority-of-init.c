/* Makes the process that keeps the meter wait for every disk access. Argument: its number. */
#include "attack.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  return verdict(syscall(SYS_ioprio_set, 1 /* PROCESS */, atoi(argv[1]), 3 << 13 /* idle */));
}
