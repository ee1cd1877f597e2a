/* The same by the newer call. Argument: its number. */
#include "attack.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  struct { unsigned size, policy; unsigned long flags; int nice; unsigned priority; unsigned long times[3]; } how = {48, 3, 0, 19, 0, {0}};
  return verdict(syscall(SYS_sched_setattr, atoi(argv[1]), &how, 0));
}
