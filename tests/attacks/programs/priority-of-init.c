/* Lowers the priority of the process that keeps the meter. Argument: its number. */
#include "attack.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  return verdict(setpriority(PRIO_PROCESS, (id_t)atoi(argv[1]), 19));
}
