/* Lets the process that keeps the meter run only when nothing else wants to. Argument: its number. */
#include "attack.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  struct sched_param none = {0};
  return verdict(sched_setscheduler(atoi(argv[1]), SCHED_BATCH, &none));
}
