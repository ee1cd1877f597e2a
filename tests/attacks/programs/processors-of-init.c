/* Moves the process that keeps the meter to other processors. Argument: its number. */
#include "attack.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  cpu_set_t set;
  sched_getaffinity(0, sizeof set, &set);
  return verdict(sched_setaffinity(atoi(argv[1]), sizeof set, &set));
}
